package executionstore

import (
	"context"
	"iter"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

// SetKey sets a key, replacing value, policy and expiry together, or creates it. The store need not exist before.
func (s *Service) SetKey(ctx context.Context, storeName, key string, value any, options ...SetOption) (*SetResult, error) {
	fields, err := s.setFields(value, options)
	if err != nil {
		return nil, err
	}
	response := new(pb.SetKeyResponse)
	err = s.connection.call(ctx, setKey, &pb.SetKeyRequest{
		DatasetId:      s.config.dataset,
		CollectionName: s.config.collection,
		StoreName:      storeName,
		Key:            key,
		Value:          fields.json,
		ValueBson:      fields.bson,
		Ttl:            fields.ttl,
		Policy:         fields.policy,
	}, response)
	if err != nil {
		return nil, err
	}
	return toSetResult(response.GetDocument(), response.GetCreated())
}

// SetCacheKey sets a key with policy [Evict]: ClearCache may remove it, and so does its ttl, if any. [WithPolicy] is
// refused unless it says Evict.
func (s *Service) SetCacheKey(ctx context.Context, storeName, key string, value any, options ...SetOption) (*SetResult, error) {
	fields, err := s.setFields(value, options)
	if err != nil {
		return nil, err
	}
	if policy := Policy(fields.policy); policy != PolicyDefault && policy != Evict {
		return nil, beforeSending(invalidField("POLICY_INVALID", "policy", "of a cache key is Evict; leave it out"))
	}
	response := new(pb.SetCacheKeyResponse)
	err = s.connection.call(ctx, setCacheKey, &pb.SetCacheKeyRequest{
		DatasetId:      s.config.dataset,
		CollectionName: s.config.collection,
		StoreName:      storeName,
		Key:            key,
		Value:          fields.json,
		ValueBson:      fields.bson,
		Ttl:            fields.ttl,
	}, response)
	if err != nil {
		return nil, err
	}
	return toSetResult(response.GetDocument(), response.GetCreated())
}

// SetKeyIfAbsent sets a key only if no live document has it; of any number of concurrent callers one wins.
func (s *Service) SetKeyIfAbsent(ctx context.Context, storeName, key string, value any, options ...SetOption) (*ConditionalResult, error) {
	fields, err := s.setFields(value, options)
	if err != nil {
		return nil, err
	}
	response := new(pb.SetKeyIfAbsentResponse)
	err = s.connection.call(ctx, setKeyIfAbsent, &pb.SetKeyIfAbsentRequest{
		DatasetId:      s.config.dataset,
		CollectionName: s.config.collection,
		StoreName:      storeName,
		Key:            key,
		Value:          fields.json,
		ValueBson:      fields.bson,
		Ttl:            fields.ttl,
		Policy:         fields.policy,
	}, response)
	if err != nil {
		return nil, err
	}
	return toConditionalResult(response.GetDocument(), response.GetSet())
}

// Expectation is what must be there for a compare-and-set to write: [ExpectValue] or [ExpectEtag].
type Expectation struct {
	value    any
	etag     string
	hasValue bool
	hasEtag  bool
}

// ExpectValue expects an equal value. Numbers are equal by their exact value whatever their type, the order of fields
// does not matter, that of array elements does.
func ExpectValue(value any) Expectation { return Expectation{value: value, hasValue: true} }

// ExpectEtag expects exactly this version.
func ExpectEtag(etag string) Expectation { return Expectation{etag: etag, hasEtag: true} }

// CompareAndSetKey sets a key only if what is there is as expected; comparison and write are one atomic step. A missing
// key is Set: false, with a nil Document. Without [WithTTL] and [WithPolicy] expiry and policy stay as they were.
func (s *Service) CompareAndSetKey(
	ctx context.Context, storeName, key string, expected Expectation, value any, options ...SetOption,
) (*ConditionalResult, error) {
	config := s.setConfig(options)
	fields, err := writeFieldsOf(value, config)
	if err != nil {
		return nil, err
	}
	request := &pb.CompareAndSetKeyRequest{
		DatasetId:      s.config.dataset,
		CollectionName: s.config.collection,
		StoreName:      storeName,
		Key:            key,
		Value:          fields.json,
		ValueBson:      fields.bson,
		Ttl:            fields.ttl,
		Policy:         fields.policy,
	}
	if expected.hasValue {
		request.ExpectedBson, request.Expected, err = valueFields(expected.value, config.encoding, "expected")
		if err != nil {
			return nil, beforeSending(err)
		}
		if len(request.ExpectedBson)+len(request.ValueBson) > maxValueBytes {
			return nil, &Error{
				Code: codes.ResourceExhausted, Reason: ReasonValueTooLarge, Outcome: OutcomeNotApplied,
				Message: "expected and value take over 15 MiB together as BSON; compare by etag or store less",
			}
		}
	}
	if expected.hasEtag {
		request.Etag = &expected.etag
	}
	response := new(pb.CompareAndSetKeyResponse)
	if err := s.connection.call(ctx, compareAndSetKey, request, response); err != nil {
		return nil, err
	}
	if response.GetDocument() == nil {
		return &ConditionalResult{Set: response.GetSet()}, nil
	}
	return toConditionalResult(response.GetDocument(), response.GetSet())
}

// GetKey reads a key. It fails as [ErrKeyNotFound] if it is not there.
func (s *Service) GetKey(ctx context.Context, storeName, key string, options ...ReadOption) (*KeyDocument, error) {
	encoding, err := s.readEncoding(options)
	if err != nil {
		return nil, err
	}
	response := new(pb.GetKeyResponse)
	err = s.connection.call(ctx, getKey, &pb.GetKeyRequest{
		DatasetId:      s.config.dataset,
		CollectionName: s.config.collection,
		StoreName:      storeName,
		Key:            key,
		Encoding:       encoding,
	}, response)
	if err != nil {
		return nil, err
	}
	return presentDocument(response.GetDocument())
}

// HasKey says whether a key is there.
func (s *Service) HasKey(ctx context.Context, storeName, key string) (bool, error) {
	response := new(pb.HasKeyResponse)
	err := s.connection.call(ctx, hasKey, &pb.HasKeyRequest{
		DatasetId: s.config.dataset, CollectionName: s.config.collection, StoreName: storeName, Key: key,
	}, response)
	return response.GetExists(), err
}

// DeleteKey deletes a key, or only one version of it ([IfEtag]), and answers whether this call did.
func (s *Service) DeleteKey(ctx context.Context, storeName, key string, options ...DeleteOption) (bool, error) {
	var config deleteConfig
	for _, option := range options {
		option.applyDelete(&config)
	}
	response := new(pb.DeleteKeyResponse)
	err := s.connection.call(ctx, deleteKey, &pb.DeleteKeyRequest{
		DatasetId:      s.config.dataset,
		CollectionName: s.config.collection,
		StoreName:      storeName,
		Key:            key,
		Etag:           config.etag,
	}, response)
	return response.GetDeleted(), err
}

// UpdateTTL lets a key expire ttl from now and makes its policy [Evict]. It answers the document without its value, and
// fails as [ErrKeyNotFound].
func (s *Service) UpdateTTL(ctx context.Context, storeName, key string, ttl time.Duration) (*KeyDocument, error) {
	response := new(pb.UpdateTtlResponse)
	err := s.connection.call(ctx, updateTTL, &pb.UpdateTtlRequest{
		DatasetId:      s.config.dataset,
		CollectionName: s.config.collection,
		StoreName:      storeName,
		Key:            key,
		Ttl:            durationpb.New(ttl),
	}, response)
	if err != nil {
		return nil, err
	}
	return presentDocument(response.GetDocument())
}

// UpdatePolicy changes a key's policy: [Persist] takes its expiry away, [Evict] leaves it. It answers the document
// without its value, and fails as [ErrKeyNotFound].
func (s *Service) UpdatePolicy(ctx context.Context, storeName, key string, policy Policy) (*KeyDocument, error) {
	response := new(pb.UpdatePolicyResponse)
	err := s.connection.call(ctx, updatePolicy, &pb.UpdatePolicyRequest{
		DatasetId:      s.config.dataset,
		CollectionName: s.config.collection,
		StoreName:      storeName,
		Key:            key,
		Policy:         pb.KeyPolicy(policy),
	}, response)
	if err != nil {
		return nil, err
	}
	return presentDocument(response.GetDocument())
}

// ListKeys fetches a page of the keys of a store, in byte order of UTF-8. Keys iterates over all.
func (s *Service) ListKeys(ctx context.Context, storeName string, options ...ListOption) (*Page[string], error) {
	config := s.listConfig(options)
	response := new(pb.ListKeysResponse)
	err := s.connection.call(ctx, listKeys, &pb.ListKeysRequest{
		DatasetId:      s.config.dataset,
		CollectionName: s.config.collection,
		StoreName:      storeName,
		PageSize:       config.pageSize,
		PageToken:      config.pageToken,
		Prefix:         config.prefix,
	}, response)
	if err != nil {
		return nil, err
	}
	return &Page[string]{response.GetKeys(), response.GetNextPageToken()}, nil
}

// Keys iterates over the keys of a store, in byte order of UTF-8, as Stores does over stores.
func (s *Service) Keys(ctx context.Context, storeName string, options ...ListOption) iter.Seq2[string, error] {
	return pages(options, func(options []ListOption) (*Page[string], error) {
		return s.ListKeys(ctx, storeName, options...)
	})
}

// ListValues fetches a page of the documents of a store, ordered as ListKeys. With [EncodingJSON], a value of more than
// 30 levels comes as BSON.
func (s *Service) ListValues(ctx context.Context, storeName string, options ...ListOption) (*Page[*KeyDocument], error) {
	config := s.listConfig(options)
	encoding, err := wireEncoding(config.encoding)
	if err != nil {
		return nil, err
	}
	response := new(pb.ListValuesResponse)
	err = s.connection.call(ctx, listValues, &pb.ListValuesRequest{
		DatasetId:      s.config.dataset,
		CollectionName: s.config.collection,
		StoreName:      storeName,
		PageSize:       config.pageSize,
		PageToken:      config.pageToken,
		Prefix:         config.prefix,
		Encoding:       encoding,
	}, response)
	if err != nil {
		return nil, err
	}
	page := &Page[*KeyDocument]{NextToken: response.GetNextPageToken()}
	page.Items = make([]*KeyDocument, len(response.GetDocuments()))
	for index, wire := range response.GetDocuments() {
		page.Items[index] = toDocument(wire)
	}
	return page, nil
}

// Values iterates over the documents of a store, ordered as Keys.
func (s *Service) Values(ctx context.Context, storeName string, options ...ListOption) iter.Seq2[*KeyDocument, error] {
	return pages(options, func(options []ListOption) (*Page[*KeyDocument], error) {
		return s.ListValues(ctx, storeName, options...)
	})
}

// CountKeys counts the keys of a store, or those that [WithPrefix] selects.
func (s *Service) CountKeys(ctx context.Context, storeName string, options ...CountOption) (int64, error) {
	var config countConfig
	for _, option := range options {
		option.applyCount(&config)
	}
	response := new(pb.CountKeysResponse)
	err := s.connection.call(ctx, countKeys, &pb.CountKeysRequest{
		DatasetId: s.config.dataset, CollectionName: s.config.collection, StoreName: storeName, Prefix: config.prefix,
	}, response)
	return response.GetCount(), err
}

// writeFields is what every setting request says of the value.
type writeFields struct {
	bson   []byte
	json   *structpb.Value
	ttl    *durationpb.Duration
	policy pb.KeyPolicy
}

func (s *Service) setConfig(options []SetOption) setConfig {
	config := setConfig{encoding: s.config.encoding}
	for _, option := range options {
		option.applySet(&config)
	}
	return config
}

func (s *Service) setFields(value any, options []SetOption) (writeFields, error) {
	return writeFieldsOf(value, s.setConfig(options))
}

func writeFieldsOf(value any, config setConfig) (writeFields, error) {
	encoded, asJSON, err := valueFields(value, config.encoding, "value")
	if err != nil {
		return writeFields{}, beforeSending(err)
	}
	return writeFields{encoded, asJSON, ttlField(config.ttl, config.hasTTL), pb.KeyPolicy(config.policy)}, nil
}

func (s *Service) readEncoding(options []ReadOption) (pb.ValueEncoding, error) {
	config := readConfig{encoding: s.config.encoding}
	for _, option := range options {
		option.applyRead(&config)
	}
	return wireEncoding(config.encoding)
}

func toSetResult(wire *pb.KeyDocument, created bool) (*SetResult, error) {
	document, err := presentDocument(wire)
	if err != nil {
		return nil, err
	}
	return &SetResult{Document: document, Created: created}, nil
}

func toConditionalResult(wire *pb.KeyDocument, set bool) (*ConditionalResult, error) {
	document, err := presentDocument(wire)
	if err != nil {
		return nil, err
	}
	return &ConditionalResult{Set: set, Document: document}, nil
}
