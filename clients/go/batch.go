package executionstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

const (
	storeKey = "__store__"
	maxTTL   = 36_525 * 24 * time.Hour
	// What an entry takes beside its key and value: tags, lengths, ttl and policy.
	entryOverhead = 64
	// What is left for entries, with room for the names of collection and store.
	maxEntriesBytes = maxRequestBytes - 64<<10
	// What the keys of a batch to find may take: other writers may have made longer ones than a batch of them could be.
	maxKeysBytes = maxBatchKeys * maxKeyBytes
)

// BatchGetKeys reads many keys of a store, in as many requests as it takes; together they are no snapshot. It answers
// those that are there, each once, in the order of first mention. With [EncodingJSON], a value of more than 30 levels
// comes as BSON.
func (s *Service) BatchGetKeys(
	ctx context.Context, storeName string, keys []string, options ...ReadOption,
) ([]*KeyDocument, error) {
	documents := make([]*KeyDocument, 0, len(keys))
	err := s.eachOfKeys(ctx, storeName, keys, options, func(wire *pb.KeyDocument) error {
		documents = append(documents, toDocument(wire))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return documents, nil
}

// eachOfKeys reads many keys as BatchGetKeys does, and calls back for each that is there.
func (s *Service) eachOfKeys(
	ctx context.Context, storeName string, keys []string, options []ReadOption, take func(*pb.KeyDocument) error,
) error {
	encoding, err := s.readEncoding(options)
	if err != nil {
		return err
	}
	if problem := batchStoreProblem(storeName, false); problem != nil {
		return problem
	}
	waiting := keys
	// The server tells keys of one request apart.
	if partEnd(keys, maxKeysBytes, keyBytes) < len(keys) {
		waiting = distinct(keys)
	}
	for len(waiting) > 0 {
		asked := waiting[:partEnd(waiting, maxKeysBytes, keyBytes)]
		response := new(pb.BatchGetKeysResponse)
		err := s.connection.call(ctx, batchGetKeys, &pb.BatchGetKeysRequest{
			DatasetId:      s.config.dataset,
			CollectionName: s.config.collection,
			StoreName:      storeName,
			Keys:           asked,
			Encoding:       encoding,
		}, response)
		if err != nil {
			return err
		}
		for _, wire := range response.GetDocuments() {
			if err := take(wire); err != nil {
				return err
			}
		}
		left := response.GetUnprocessedKeys()
		if len(left) >= len(asked) {
			return brokenAnswer("leaves every key of a batch unprocessed")
		}
		rest := waiting[len(asked):]
		if len(left) > 0 {
			rest = append(left[:len(left):len(left)], rest...)
		}
		waiting = rest
	}
	return nil
}

// BatchSetKeys sets many keys of a store, each as SetKey does, and answers in order. A bad entry, or a key named twice,
// fails the call before anything is written. Not atomic: over 1,000 entries or 16 MiB it takes several requests, and an
// error, such as that of a value which only the server finds to be bad, may leave a part of the keys written. Options
// count for every entry that does not say otherwise.
func (s *Service) BatchSetKeys(
	ctx context.Context, storeName string, entries []SetEntry, options ...SetOption,
) ([]*SetResult, error) {
	if problem := batchStoreProblem(storeName, true); problem != nil {
		return nil, beforeSending(problem)
	}
	waiting, err := encodeEntries(entries, s.setConfig(options))
	if err != nil {
		return nil, beforeSending(err)
	}
	results := make([]*SetResult, 0, len(waiting))
	for len(waiting) > 0 {
		part := waiting[:partEnd(waiting, maxEntriesBytes, entryBytes)]
		response := new(pb.BatchSetKeysResponse)
		err := s.connection.call(ctx, batchSetKeys, &pb.BatchSetKeysRequest{
			DatasetId:      s.config.dataset,
			CollectionName: s.config.collection,
			StoreName:      storeName,
			Entries:        part,
		}, response)
		if err == nil && len(response.GetResults()) != len(part) {
			err = brokenAnswer("to a batch is not as long as the batch")
		}
		if err != nil {
			return results, partlyDone(err, len(results), len(entries))
		}
		for _, wire := range response.GetResults() {
			result, err := toSetResult(wire.GetDocument(), wire.GetCreated())
			if err != nil {
				return results, err
			}
			results = append(results, result)
		}
		waiting = waiting[len(part):]
	}
	return results, nil
}

// BatchDeleteKeys deletes many keys of a store and answers how many were live. Not atomic, as BatchSetKeys.
func (s *Service) BatchDeleteKeys(ctx context.Context, storeName string, keys []string) (int64, error) {
	if problem := batchStoreProblem(storeName, false); problem != nil {
		return 0, beforeSending(problem)
	}
	waiting := distinct(keys)
	for index, key := range waiting {
		if problem := keyProblem(key, false); problem != "" {
			return 0, beforeSending(keyError(key, fmt.Sprintf("keys[%d]", index), problem))
		}
	}
	var deleted int64
	total, done := len(waiting), 0
	for len(waiting) > 0 {
		part := waiting[:partEnd(waiting, maxKeysBytes, keyBytes)]
		response := new(pb.BatchDeleteKeysResponse)
		err := s.connection.call(ctx, batchDeleteKeys, &pb.BatchDeleteKeysRequest{
			DatasetId:      s.config.dataset,
			CollectionName: s.config.collection,
			StoreName:      storeName,
			Keys:           part,
		}, response)
		if err != nil {
			return deleted, partlyDone(err, done, total)
		}
		deleted += response.GetDeletedCount()
		done += len(part)
		waiting = waiting[len(part):]
	}
	return deleted, nil
}

// partEnd is how many of the items go into the next request.
func partEnd[T any](items []T, maxBytes int, bytesOf func(T) int) int {
	total := 0
	for index, item := range items[:min(len(items), maxBatchKeys)] {
		total += bytesOf(item)
		if total > maxBytes && index > 0 {
			return index
		}
	}
	return min(len(items), maxBatchKeys)
}

func keyBytes(key string) int { return len(key) }

func entryBytes(entry *pb.BatchSetKeysRequest_Entry) int {
	size := len(entry.GetKey()) + len(entry.GetValueBson()) + entryOverhead
	if entry.GetValue() != nil {
		size += jsonBytes(entry.GetValue())
	}
	return size
}

func distinct(keys []string) []string {
	seen := make(map[string]struct{}, len(keys))
	once := make([]string, 0, len(keys))
	for _, key := range keys {
		if _, twice := seen[key]; !twice {
			seen[key] = struct{}{}
			once = append(once, key)
		}
	}
	return once
}

// encodeEntries checks all entries before the first is sent: the later parts of a batch would be refused after the
// first was written.
func encodeEntries(entries []SetEntry, defaults setConfig) ([]*pb.BatchSetKeysRequest_Entry, error) {
	seen := make(map[string]struct{}, len(entries))
	encoded := make([]*pb.BatchSetKeysRequest_Entry, len(entries))
	for index, entry := range entries {
		field := fmt.Sprintf("entries[%d]", index)
		if problem := keyProblem(entry.Key, true); problem != "" {
			return nil, keyError(entry.Key, field+".key", problem)
		}
		if _, twice := seen[entry.Key]; twice {
			return nil, invalidField("KEY_REPEATED", field+".key", "is in the batch before; name each key once")
		}
		seen[entry.Key] = struct{}{}
		config := defaults
		if entry.TTL != 0 {
			config.ttl, config.hasTTL = entry.TTL, true
		}
		if entry.Policy != PolicyDefault {
			config.policy = entry.Policy
		}
		if config.hasTTL && config.ttl <= 0 {
			return nil, invalidField("TTL_NOT_POSITIVE", field+".ttl", "is not greater than 0; give more, or leave it out")
		}
		if config.ttl > maxTTL {
			return nil, invalidField("TTL_TOO_LONG", field+".ttl", "is longer than 100 years; leave it out for a key that does not expire")
		}
		if config.policy < PolicyDefault || config.policy > Evict {
			return nil, invalidField("POLICY_INVALID", field+".policy", "is neither Persist nor Evict; expected one of these two")
		}
		asBSON, asJSON, err := valueFields(entry.Value, config.encoding, field+".value")
		if err != nil {
			return nil, err
		}
		encoded[index] = &pb.BatchSetKeysRequest_Entry{
			Key:       entry.Key,
			Value:     asJSON,
			ValueBson: asBSON,
			Ttl:       ttlField(config.ttl, config.hasTTL),
			Policy:    pb.KeyPolicy(config.policy),
		}
	}
	return encoded, nil
}

// batchStoreProblem checks the store's name here, since an empty batch sends no request in which the server could.
func batchStoreProblem(storeName string, writes bool) error {
	switch {
	case storeName == "":
		return invalidField("STORE_NAME_INVALID", "store_name", "is empty; expected a name")
	case writes && (len(storeName) > 255 || strings.Contains(storeName, "\x00")):
		return invalidField("STORE_NAME_INVALID", "store_name", "is over 255 bytes long or contains NUL; expected 1 to 255 bytes of UTF-8")
	}
	return nil
}

func keyProblem(key string, writes bool) string {
	switch {
	case key == "":
		return "is empty; expected a key"
	case key == storeKey:
		return "is " + storeKey + ", which marks store documents; choose another key"
	case writes && len(key) > maxKeyBytes:
		return fmt.Sprintf("is %d bytes long; expected 1 to %d bytes of UTF-8, so shorten it", len(key), maxKeyBytes)
	case writes && strings.Contains(key, "\x00"):
		return "contains a NUL character; remove it"
	case !utf8.ValidString(key):
		return "is not UTF-8; expected keys in it"
	}
	return ""
}

func keyError(key, field, problem string) *Error {
	reason := Reason("KEY_INVALID")
	if key == storeKey {
		reason = "KEY_RESERVED"
	}
	return invalidField(reason, field, problem)
}

// partlyDone says after the first part of a batch what is written, and that the outcome is open.
func partlyDone(err error, done, total int) error {
	var e *Error
	if done == 0 || !errors.As(err, &e) {
		return err
	}
	changed := *e
	changed.Outcome = OutcomeUnknown
	changed.Message = fmt.Sprintf("%s (the first %d of %d are done)", e.Message, done, total)
	return &changed
}
