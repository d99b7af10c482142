package executionstore

import (
	"context"
	"iter"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

// Service has a method for every RPC of the contract, for the stores of one context. Client.Service makes one.
type Service struct {
	client     *Client
	connection *connection
	config     contextConfig
}

// DatasetID is the dataset whose stores these are, as it was given; empty: stores tied to no dataset.
func (s *Service) DatasetID() string { return s.config.dataset }

// CollectionName is the collection, as it was given; empty: the server's default.
func (s *Service) CollectionName() string { return s.config.collection }

// CreateStore gives a store its own document with metadata and a policy; see [WithMetadata], [WithPolicy]. It fails as
// [ErrAlreadyExists] if the store has one.
func (s *Service) CreateStore(ctx context.Context, storeName string, options ...CreateOption) (*StoreDocument, error) {
	var config createConfig
	for _, option := range options {
		option.applyCreate(&config)
	}
	metadata, err := metadataField(config.metadata)
	if err != nil {
		return nil, beforeSending(err)
	}
	response := new(pb.CreateStoreResponse)
	err = s.connection.call(ctx, createStore, &pb.CreateStoreRequest{
		DatasetId:      s.config.dataset,
		CollectionName: s.config.collection,
		StoreName:      storeName,
		Metadata:       metadata,
		Policy:         pb.KeyPolicy(config.policy),
	}, response)
	if err != nil {
		return nil, err
	}
	return toStoreDocument(response.GetStore())
}

func metadataField(metadata any) (*structpb.Struct, error) {
	if metadata == nil {
		return nil, nil
	}
	encoded, err := encodeJSON(metadata, "metadata", "METADATA_INVALID")
	if err != nil {
		return nil, err
	}
	if _, isNull := encoded.GetKind().(*structpb.Value_NullValue); isNull {
		return nil, nil
	}
	if encoded.GetStructValue() == nil {
		return nil, invalidField("METADATA_INVALID", "metadata", "is no JSON object; expected a map with string keys or a struct")
	}
	return encoded.GetStructValue(), nil
}

// GetStore reads a store's document. It fails as [ErrStoreNotFound].
func (s *Service) GetStore(ctx context.Context, storeName string) (*StoreDocument, error) {
	response := new(pb.GetStoreResponse)
	err := s.connection.call(ctx, getStore, &pb.GetStoreRequest{
		DatasetId: s.config.dataset, CollectionName: s.config.collection, StoreName: storeName,
	}, response)
	if err != nil {
		return nil, err
	}
	return toStoreDocument(response.GetStore())
}

// HasStore says whether a store exists: whether it has its own document or a key.
func (s *Service) HasStore(ctx context.Context, storeName string) (bool, error) {
	response := new(pb.HasStoreResponse)
	err := s.connection.call(ctx, hasStore, &pb.HasStoreRequest{
		DatasetId: s.config.dataset, CollectionName: s.config.collection, StoreName: storeName,
	}, response)
	return response.GetExists(), err
}

// ListStores fetches a page of the names of the context's stores, in byte order of UTF-8. Stores iterates over all.
func (s *Service) ListStores(ctx context.Context, options ...ListOption) (*Page[string], error) {
	config := s.listConfig(options)
	response := new(pb.ListStoresResponse)
	err := s.connection.call(ctx, listStores, &pb.ListStoresRequest{
		DatasetId:      s.config.dataset,
		CollectionName: s.config.collection,
		PageSize:       config.pageSize,
		PageToken:      config.pageToken,
		Prefix:         config.prefix,
	}, response)
	if err != nil {
		return nil, err
	}
	return &Page[string]{response.GetStoreNames(), response.GetNextPageToken()}, nil
}

// Stores iterates over the names of the context's stores, in byte order of UTF-8, fetching page after page. What is
// there throughout comes exactly once. An error ends the iteration.
func (s *Service) Stores(ctx context.Context, options ...ListOption) iter.Seq2[string, error] {
	return pages(options, func(options []ListOption) (*Page[string], error) { return s.ListStores(ctx, options...) })
}

// CountStores counts the context's stores.
func (s *Service) CountStores(ctx context.Context) (int64, error) {
	response := new(pb.CountStoresResponse)
	err := s.connection.call(ctx, countStores, &pb.CountStoresRequest{
		DatasetId: s.config.dataset, CollectionName: s.config.collection,
	}, response)
	return response.GetCount(), err
}

// DeleteStore deletes a store with all its keys and answers how many live documents these were; 0 for one that does not
// exist. Not atomic: an error may leave a part, and repeating is safe.
func (s *Service) DeleteStore(ctx context.Context, storeName string) (int64, error) {
	response := new(pb.DeleteStoreResponse)
	err := s.connection.call(ctx, deleteStore, &pb.DeleteStoreRequest{
		DatasetId: s.config.dataset, CollectionName: s.config.collection, StoreName: storeName,
	}, response)
	return response.GetDeletedCount(), err
}

// ClearCache deletes what is [Evict] or has an expiry from one store, and answers how many live documents these were.
// Not atomic, as DeleteStore.
func (s *Service) ClearCache(ctx context.Context, storeName string) (int64, error) {
	// Sent empty, it would clear the caches of all stores.
	if storeName == "" {
		return 0, beforeSending(invalidField("STORE_NAME_INVALID", "store_name", "is empty; expected a name"))
	}
	return s.clearCache(ctx, storeName)
}

// ClearCaches is ClearCache of every store of the context.
func (s *Service) ClearCaches(ctx context.Context) (int64, error) { return s.clearCache(ctx, "") }

func (s *Service) clearCache(ctx context.Context, storeName string) (int64, error) {
	response := new(pb.ClearCacheResponse)
	err := s.connection.call(ctx, clearCache, &pb.ClearCacheRequest{
		DatasetId: s.config.dataset, CollectionName: s.config.collection, StoreName: storeName,
	}, response)
	return response.GetDeletedCount(), err
}

// Cleanup deletes every store of the context and answers how many live documents these were, as DeleteStore.
func (s *Service) Cleanup(ctx context.Context) (int64, error) {
	response := new(pb.CleanupResponse)
	err := s.connection.call(ctx, cleanup, &pb.CleanupRequest{
		DatasetId: s.config.dataset, CollectionName: s.config.collection,
	}, response)
	return response.GetDeletedCount(), err
}

// HasStoreGlobal says whether a store of this name exists with any dataset, or with none.
func (s *Service) HasStoreGlobal(ctx context.Context, storeName string) (bool, error) {
	response := new(pb.HasStoreGlobalResponse)
	err := s.connection.call(ctx, hasStoreGlobal, &pb.HasStoreGlobalRequest{
		CollectionName: s.config.collection, StoreName: storeName,
	}, response)
	return response.GetExists(), err
}

// ListStoresGlobal fetches a page of the stores of all datasets, by dataset id (none first), then by name; one document
// per store and dataset, without metadata.
func (s *Service) ListStoresGlobal(ctx context.Context, options ...ListOption) (*Page[*StoreDocument], error) {
	config := s.listConfig(options)
	response := new(pb.ListStoresGlobalResponse)
	err := s.connection.call(ctx, listStoresGlobal, &pb.ListStoresGlobalRequest{
		CollectionName: s.config.collection,
		PageSize:       config.pageSize,
		PageToken:      config.pageToken,
		Prefix:         config.prefix,
	}, response)
	if err != nil {
		return nil, err
	}
	page := &Page[*StoreDocument]{NextToken: response.GetNextPageToken()}
	for _, wire := range response.GetStores() {
		store, err := toStoreDocument(wire)
		if err != nil {
			return nil, err
		}
		page.Items = append(page.Items, store)
	}
	return page, nil
}

// StoresGlobal iterates over the stores of all datasets, ordered as ListStoresGlobal.
func (s *Service) StoresGlobal(ctx context.Context, options ...ListOption) iter.Seq2[*StoreDocument, error] {
	return pages(options, func(options []ListOption) (*Page[*StoreDocument], error) {
		return s.ListStoresGlobal(ctx, options...)
	})
}

// CountStoresGlobal counts the stores of all datasets: one per store and dataset.
func (s *Service) CountStoresGlobal(ctx context.Context) (int64, error) {
	response := new(pb.CountStoresGlobalResponse)
	err := s.connection.call(ctx, countStoresGlobal, &pb.CountStoresGlobalRequest{
		CollectionName: s.config.collection,
	}, response)
	return response.GetCount(), err
}

// DeleteStoreGlobal deletes the stores of this name of all datasets, as DeleteStore.
func (s *Service) DeleteStoreGlobal(ctx context.Context, storeName string) (GlobalDeletion, error) {
	response := new(pb.DeleteStoreGlobalResponse)
	err := s.connection.call(ctx, deleteStoreGlobal, &pb.DeleteStoreGlobalRequest{
		CollectionName: s.config.collection, StoreName: storeName,
	}, response)
	return GlobalDeletion{Stores: response.GetDeletedStoreCount(), Documents: response.GetDeletedCount()}, err
}

func (s *Service) listConfig(options []ListOption) listConfig {
	config := listConfig{encoding: s.config.encoding}
	for _, option := range options {
		option.applyList(&config)
	}
	return config
}

// pages iterates over the items of a list, beginning where options say.
func pages[T any](options []ListOption, fetch func([]ListOption) (*Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		asked := append([]ListOption{}, options...)
		for {
			page, err := fetch(asked)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.NextToken == "" {
				return
			}
			asked = append(asked[:len(options):len(options)], WithPageToken(page.NextToken))
		}
	}
}

// Collect gathers what an iterator of this package gives; at an error it gives what came before it, too.
func Collect[T any](items iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for item, err := range items {
		if err != nil {
			return all, err
		}
		all = append(all, item)
	}
	return all, nil
}

func ttlField(ttl time.Duration, has bool) *durationpb.Duration {
	if !has {
		return nil
	}
	return durationpb.New(ttl)
}

func wireEncoding(encoding Encoding) (pb.ValueEncoding, error) {
	switch encoding {
	case EncodingBSON:
		return pb.ValueEncoding_VALUE_ENCODING_BSON, nil
	case EncodingJSON:
		return pb.ValueEncoding_VALUE_ENCODING_JSON, nil
	case EncodingNone:
		return pb.ValueEncoding_VALUE_ENCODING_NONE, nil
	}
	return 0, invalidField("ENCODING_INVALID", "encoding", "is none of EncodingBSON, EncodingJSON and EncodingNone; expected one of these")
}
