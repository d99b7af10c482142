package executionstore

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

// Policy says what may happen to a document without being asked for by name.
type Policy int32

const (
	// PolicyDefault is [Persist] or what WithDefaultPolicy says on setting; of CompareAndSet, "leave it as it is". A
	// [StoreDocument] has it if the store has no document of its own.
	PolicyDefault Policy = Policy(pb.KeyPolicy_KEY_POLICY_UNSPECIFIED)
	// Persist keeps a document until it is deleted.
	Persist Policy = Policy(pb.KeyPolicy_KEY_POLICY_PERSIST)
	// Evict lets ClearCache, and its expiry, if any, remove a document.
	Evict Policy = Policy(pb.KeyPolicy_KEY_POLICY_EVICT)
)

// String gives "persist", "evict" or "default".
func (p Policy) String() string {
	switch p {
	case PolicyDefault:
		return "default"
	case Persist:
		return "persist"
	case Evict:
		return "evict"
	}
	return fmt.Sprintf("Policy(%d)", int32(p))
}

// KeyDocument is a key with its value and what is known of it. Times are the store's clock, in whole milliseconds.
type KeyDocument struct {
	// StoreName is the store that the key belongs to.
	StoreName string
	// Key is unique in its store and dataset.
	Key string
	// DatasetID has 24 lower-case hex digits; empty for a store tied to no dataset.
	DatasetID string
	// CreatedAt is when the live document came to be.
	CreatedAt time.Time
	// UpdatedAt is when it last changed in any way, ttl and policy included; strictly increasing per key.
	UpdatedAt time.Time
	// ExpiresAt is when it expires; the zero time if it does not.
	ExpiresAt time.Time
	// Policy is Persist or Evict.
	Policy Policy
	// Etag is opaque: it changes with every change of the key and never returns.
	Etag string

	bson []byte
	json *structpb.Value
}

// Expires says whether the key has an expiry.
func (d *KeyDocument) Expires() bool { return !d.ExpiresAt.IsZero() }

// HasValue says whether the document carries its value: not in the answers of writes, and not with [EncodingNone].
func (d *KeyDocument) HasValue() bool { return d.bson != nil || d.json != nil }

// Raw gives the bytes of the value, not a copy; nil if the document has no value, or has it as JSON.
func (d *KeyDocument) Raw() RawValue { return RawValue(d.bson) }

// Decode decodes the value into what target points to. It fails as ErrInvalidArgument if the value does not fit, and
// as ErrFailedPrecondition if the document carries no value.
func (d *KeyDocument) Decode(target any) error {
	switch {
	case d.bson != nil:
		return decodeBSON(d.bson, target)
	case d.json != nil:
		return decodeJSON(d.json, target)
	}
	return noValueError(d.Key)
}

// StoreDocument is a store. One that exists only through its keys has no document of its own, and so neither metadata
// nor times nor an etag, and the PolicyDefault.
type StoreDocument struct {
	// StoreName is unique in its dataset.
	StoreName string
	// DatasetID has 24 lower-case hex digits; empty for a store tied to no dataset.
	DatasetID string
	// Metadata is what WithMetadata gave, as JSON: numbers are float64, and what JSON has no form for is in the single-key
	// forms of relaxed Extended JSON. Nil where there is none and, of lists, always.
	Metadata map[string]any
	// CreatedAt is when the store's document came to be; else the zero time.
	CreatedAt time.Time
	// UpdatedAt is when it last changed.
	UpdatedAt time.Time
	// ExpiresAt is when it expires; the zero time if it does not.
	ExpiresAt time.Time
	// Policy is Persist or Evict.
	Policy Policy
	// Etag is the opaque version of the store's document.
	Etag string
}

// SetResult is the answer of an unconditional set.
type SetResult struct {
	// Document is the new one, without its value.
	Document *KeyDocument
	// Created says whether no live document had the key before; see the package's comment on repetition.
	Created bool
}

// ConditionalResult is the answer of a set-if-absent or a compare-and-set.
type ConditionalResult struct {
	// Set says whether this call wrote.
	Set bool
	// Document is the live one after the call, whoever wrote it, without its value; nil if there is none.
	Document *KeyDocument
}

// GlobalDeletion is the answer of DeleteStoreGlobal.
type GlobalDeletion struct {
	// Stores deleted: one per dataset.
	Stores int64
	// Documents deleted that were live, store documents included.
	Documents int64
}

// Page is one page of a list.
type Page[T any] struct {
	// Items may be few, or none, while a token follows.
	Items []T
	// NextToken is for WithPageToken; empty after the last page.
	NextToken string
}

// SetEntry is one key of BatchSetKeys.
type SetEntry struct {
	// Key is named once in a batch: 1 to 1,024 bytes of UTF-8 without NUL.
	Key string
	// Value as in SetKey.
	Value any
	// TTL as in WithTTL; 0: the key does not expire.
	TTL time.Duration
	// Policy as in WithPolicy.
	Policy Policy
}

func toTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return time.Unix(t.GetSeconds(), int64(t.GetNanos())).UTC()
}

// toDocument takes a key over from the wire.
func toDocument(wire *pb.KeyDocument) *KeyDocument {
	return &KeyDocument{
		StoreName: wire.GetStoreName(),
		Key:       wire.GetKey(),
		DatasetID: wire.GetDatasetId(),
		CreatedAt: toTime(wire.GetCreatedAt()),
		UpdatedAt: toTime(wire.GetUpdatedAt()),
		ExpiresAt: toTime(wire.GetExpiresAt()),
		Policy:    Policy(wire.GetPolicy()),
		Etag:      wire.GetEtag(),
		bson:      wire.GetValueBson(),
		json:      wire.GetValue(),
	}
}

// presentDocument is toDocument for an answer that must hold one, which was written or read.
func presentDocument(wire *pb.KeyDocument) (*KeyDocument, error) {
	if wire == nil {
		return nil, brokenAnswer("holds no document")
	}
	return toDocument(wire), nil
}

func toStoreDocument(wire *pb.StoreDocument) (*StoreDocument, error) {
	if wire == nil {
		return nil, brokenAnswer("holds no store")
	}
	document := &StoreDocument{
		StoreName: wire.GetStoreName(),
		DatasetID: wire.GetDatasetId(),
		CreatedAt: toTime(wire.GetCreatedAt()),
		UpdatedAt: toTime(wire.GetUpdatedAt()),
		ExpiresAt: toTime(wire.GetExpiresAt()),
		Policy:    Policy(wire.GetPolicy()),
		Etag:      wire.GetEtag(),
	}
	if wire.GetMetadata() != nil {
		document.Metadata = wire.GetMetadata().AsMap()
	}
	return document, nil
}
