package executionstore

import (
	"context"
	"iter"
	"time"

	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

// Store is one store: keys with values, a time to live and a policy. Client.Store gives one. The functions [Get], [Set],
// [GetMany] and [Values] do the same with types.
type Store struct {
	name    string
	service *Service
}

// Name is that of the store.
func (s *Store) Name() string { return s.name }

// Service is the one behind the store, in its context.
func (s *Store) Service() *Service { return s.service }

// Get reads a key. It fails as [ErrKeyNotFound] if it is not there. See also the function [Get].
func (s *Store) Get(ctx context.Context, key string, options ...ReadOption) (*KeyDocument, error) {
	return s.service.GetKey(ctx, s.name, key, options...)
}

// Set sets a key, replacing value, policy and expiry together. Without [WithTTL] it does not expire.
func (s *Store) Set(ctx context.Context, key string, value any, options ...SetOption) (*SetResult, error) {
	return s.service.SetKey(ctx, s.name, key, value, s.withPolicy(options)...)
}

// SetCache sets a key with policy [Evict]: ClearCache may remove it, and so does its ttl, if any.
func (s *Store) SetCache(ctx context.Context, key string, value any, options ...SetOption) (*SetResult, error) {
	return s.service.SetCacheKey(ctx, s.name, key, value, options...)
}

// SetIfAbsent sets a key only if it is not there, and answers whether this call did. The primitive for locks and claims.
func (s *Store) SetIfAbsent(ctx context.Context, key string, value any, options ...SetOption) (bool, error) {
	result, err := s.service.SetKeyIfAbsent(ctx, s.name, key, value, s.withPolicy(options)...)
	if err != nil {
		return false, err
	}
	return result.Set, nil
}

// CompareAndSet sets a key only if its present value ([ExpectValue]), or its version ([ExpectEtag]), is the expected
// one, and answers whether this call did. Without [WithTTL] and [WithPolicy] both stay as they were.
func (s *Store) CompareAndSet(
	ctx context.Context, key string, expected Expectation, value any, options ...SetOption,
) (bool, error) {
	result, err := s.service.CompareAndSetKey(ctx, s.name, key, expected, value, options...)
	if err != nil {
		return false, err
	}
	return result.Set, nil
}

// Delete deletes a key, or only one version of it ([IfEtag]), and answers whether this call did.
func (s *Store) Delete(ctx context.Context, key string, options ...DeleteOption) (bool, error) {
	return s.service.DeleteKey(ctx, s.name, key, options...)
}

// Has says whether a key is there.
func (s *Store) Has(ctx context.Context, key string) (bool, error) {
	return s.service.HasKey(ctx, s.name, key)
}

// Clear deletes the store with all its keys and answers how many live documents these were. Not atomic.
func (s *Store) Clear(ctx context.Context) (int64, error) { return s.service.DeleteStore(ctx, s.name) }

// ClearCache deletes what is [Evict] or has an expiry, and answers how many live documents these were. Not atomic.
func (s *Store) ClearCache(ctx context.Context) (int64, error) {
	return s.service.ClearCache(ctx, s.name)
}

// UpdateTTL lets a key expire ttl from now and makes its policy [Evict]. It fails as [ErrKeyNotFound].
func (s *Store) UpdateTTL(ctx context.Context, key string, ttl time.Duration) (*KeyDocument, error) {
	return s.service.UpdateTTL(ctx, s.name, key, ttl)
}

// UpdatePolicy changes a key's policy: [Persist] takes its expiry away, [Evict] leaves it. It fails as
// [ErrKeyNotFound].
func (s *Store) UpdatePolicy(ctx context.Context, key string, policy Policy) (*KeyDocument, error) {
	return s.service.UpdatePolicy(ctx, s.name, key, policy)
}

// Metadata reads what is known of a key besides its value. It fails as [ErrKeyNotFound].
func (s *Store) Metadata(ctx context.Context, key string) (*KeyDocument, error) {
	return s.service.GetKey(ctx, s.name, key, WithEncoding(EncodingNone))
}

// Keys iterates over the keys, in byte order of UTF-8, fetching page after page. An error ends the iteration.
func (s *Store) Keys(ctx context.Context, options ...ListOption) iter.Seq2[string, error] {
	return s.service.Keys(ctx, s.name, options...)
}

// Values iterates over the documents, ordered as Keys. See also the function [Values].
func (s *Store) Values(ctx context.Context, options ...ListOption) iter.Seq2[*KeyDocument, error] {
	return s.service.Values(ctx, s.name, options...)
}

// Stores iterates over the names of all stores of this store's context.
func (s *Store) Stores(ctx context.Context, options ...ListOption) iter.Seq2[string, error] {
	return s.service.Stores(ctx, options...)
}

// Count counts the keys, or those that [WithPrefix] selects.
func (s *Store) Count(ctx context.Context, options ...CountOption) (int64, error) {
	return s.service.CountKeys(ctx, s.name, options...)
}

// GetMany reads many keys, by key; those that are not there are left out. Together they are no snapshot. See also the
// function [GetMany].
func (s *Store) GetMany(ctx context.Context, keys []string, options ...ReadOption) (map[string]*KeyDocument, error) {
	byKey := make(map[string]*KeyDocument, len(keys))
	err := s.service.eachOfKeys(ctx, s.name, keys, options, func(wire *pb.KeyDocument) error {
		document := toDocument(wire)
		byKey[document.Key] = document
		return nil
	})
	if err != nil {
		return nil, err
	}
	return byKey, nil
}

// SetMany sets many keys, all with the same options. Not atomic; see Service.BatchSetKeys.
func (s *Store) SetMany(ctx context.Context, values map[string]any, options ...SetOption) error {
	entries := make([]SetEntry, 0, len(values))
	for key, value := range values {
		entries = append(entries, SetEntry{Key: key, Value: value})
	}
	_, err := s.service.BatchSetKeys(ctx, s.name, entries, s.withPolicy(options)...)
	return err
}

// DeleteMany deletes many keys and answers how many were live. Not atomic.
func (s *Store) DeleteMany(ctx context.Context, keys []string) (int64, error) {
	return s.service.BatchDeleteKeys(ctx, s.name, keys)
}

// Watch watches the store: every change from now on, or first what is there ([WithSnapshot]), or what came after a
// token ([WithResumeToken]). See [Watch].
func (s *Store) Watch(ctx context.Context, options ...WatchOption) *Watch {
	// Last, so that no other option sends the watch elsewhere.
	own := append(options[:len(options):len(options)], watchOption(func(c *watchConfig) {
		c.storeName, c.hasStore, c.allContexts = s.name, true, false
	}))
	return s.service.WatchKeys(ctx, own...)
}

// withPolicy puts the store's default before what the caller says.
func (s *Store) withPolicy(options []SetOption) []SetOption {
	if s.service.config.defaultPolicy == PolicyDefault {
		return options
	}
	return append([]SetOption{WithPolicy(s.service.config.defaultPolicy)}, options...)
}

// Get reads a value as a T. It fails as [ErrKeyNotFound] if the key is not there, and as [ErrInvalidArgument] if the
// value does not fit into a T.
func Get[T any](ctx context.Context, store *Store, key string, options ...ReadOption) (T, error) {
	document, err := store.Get(ctx, key, options...)
	if err != nil {
		var none T
		return none, err
	}
	return decodeAs[T](document.bson, document.json, key)
}

// Set is Store.Set with a type: it does not take what is no T.
func Set[T any](ctx context.Context, store *Store, key string, value T, options ...SetOption) (*SetResult, error) {
	return store.Set(ctx, key, value, options...)
}

// GetMany reads many values as Ts, by key; keys that are not there are left out. Together they are no snapshot.
func GetMany[T any](ctx context.Context, store *Store, keys []string, options ...ReadOption) (map[string]T, error) {
	values := make(map[string]T, len(keys))
	var document valueAs[T]
	err := store.service.eachOfKeys(ctx, store.name, keys, options, func(wire *pb.KeyDocument) error {
		value, err := document.decode(wire.GetValueBson(), wire.GetValue(), wire.GetKey())
		values[wire.GetKey()] = value
		return err
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// SetMany is Store.SetMany with a type.
func SetMany[T any](ctx context.Context, store *Store, values map[string]T, options ...SetOption) error {
	untyped := make(map[string]any, len(values))
	for key, value := range values {
		untyped[key] = value
	}
	return store.SetMany(ctx, untyped, options...)
}

// Entry is a key with its value.
type Entry[T any] struct {
	Key   string
	Value T
}

// Values iterates over keys with their values as Ts, ordered as Store.Keys. An error ends the iteration, also that of a
// value which does not fit into a T.
func Values[T any](ctx context.Context, store *Store, options ...ListOption) iter.Seq2[Entry[T], error] {
	return func(yield func(Entry[T], error) bool) {
		for document, err := range store.Values(ctx, options...) {
			var entry Entry[T]
			if err == nil {
				entry.Key = document.Key
				entry.Value, err = decodeAs[T](document.bson, document.json, document.Key)
			}
			if !yield(entry, err) || err != nil {
				return
			}
		}
	}
}
