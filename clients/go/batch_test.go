package executionstore_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	es "github.com/execution-store/execution-store/clients/go"
	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

func TestBatchesOverTheLimits(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		service := open(t, address).Service()
		const count = 2500
		entries := make([]es.SetEntry, count)
		keys := make([]string, 0, count+2)
		for index := range entries {
			key := fmt.Sprintf("k%04d", count-index)
			entries[index] = es.SetEntry{Key: key, Value: index}
			keys = append(keys, key)
		}
		results := must[[]*es.SetResult](t)(service.BatchSetKeys(ctx, "s", entries))
		equal(t, len(results), count)
		for index, result := range results {
			if !result.Created || result.Document.Key != keys[index] {
				t.Fatalf("result %d is of %s", index, result.Document.Key)
			}
		}
		documents := must[[]*es.KeyDocument](t)(service.BatchGetKeys(ctx, "s", append([]string{"none", keys[0]}, keys...)))
		equal(t, len(documents), count)
		for index, document := range documents {
			var value int
			ok(t, document.Decode(&value))
			if document.Key != keys[index] || value != index {
				t.Fatalf("document %d is %s with %d", index, document.Key, value)
			}
		}
		equal(t, must[int64](t)(service.BatchDeleteKeys(ctx, "s", append(keys, keys[0], "none"))), int64(count))
	})
}

func TestBatchesOfLargeValues(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		service := open(t, address).Service()
		var entries []es.SetEntry
		var keys []string
		for index := range 10 {
			keys = append(keys, fmt.Sprint(9-index))
			entries = append(entries, es.SetEntry{Key: keys[index], Value: make([]byte, 2<<20)})
		}
		// Over 16 MiB to set, and over 3 MiB to get: both take several requests.
		equal(t, len(must[[]*es.SetResult](t)(service.BatchSetKeys(ctx, "s", entries))), 10)
		documents := must[[]*es.KeyDocument](t)(service.BatchGetKeys(ctx, "s", keys))
		for index, document := range documents {
			equal(t, document.Key, keys[index])
			equal(t, len(document.Raw()), 2<<20+17)
		}
		equal(t, len(documents), 10)
	})
}

func TestEntriesOfBatches(t *testing.T) {
	ctx := testContext(t)
	service := open(t, shared.lmdb.address).Service()
	results := must[[]*es.SetResult](t)(service.BatchSetKeys(ctx, "s", []es.SetEntry{
		{Key: "a", Value: 1}, {Key: "b", Value: 1, TTL: time.Hour}, {Key: "c", Value: 1, Policy: es.Persist},
	}, es.WithPolicy(es.Evict), es.WithEncoding(es.EncodingJSON)))
	equal(t, []es.Policy{results[0].Document.Policy, results[1].Document.Policy, results[2].Document.Policy}, []es.Policy{es.Evict, es.Evict, es.Persist})
	equal(t, results[1].Document.Expires(), true)
	equal(t, len(must[[]*es.SetResult](t)(service.BatchSetKeys(ctx, "s", nil))), 0)

	many := make([]es.SetEntry, 1500)
	for index := range many {
		many[index] = es.SetEntry{Key: fmt.Sprintf("m%d", index), Value: 1}
	}
	for reason, bad := range map[es.Reason]es.SetEntry{
		"KEY_INVALID":      {Key: strings.Repeat("x", 1025), Value: 1},
		"KEY_RESERVED":     {Key: "__store__", Value: 1},
		"KEY_REPEATED":     {Key: "m0", Value: 1},
		"TTL_NOT_POSITIVE": {Key: "x", Value: 1, TTL: -1},
		"TTL_TOO_LONG":     {Key: "x", Value: 1, TTL: 101 * 366 * 24 * time.Hour},
		"POLICY_INVALID":   {Key: "x", Value: 1, Policy: 9},
		"VALUE_INVALID":    {Key: "x", Value: func() {}},
	} {
		_, err := service.BatchSetKeys(ctx, "s", append(many[:1499:1499], bad))
		e := fails(t, err, codes.InvalidArgument, reason)
		equal(t, e.Outcome, es.OutcomeNotApplied)
		contains(t, e.Violations[0].Field, "entries[1499]")
	}
	_, err := service.BatchSetKeys(ctx, "s", append(many[:1499:1499], es.SetEntry{Key: "\xff", Value: 1}))
	equal(t, fails(t, err, codes.InvalidArgument, "KEY_INVALID").Outcome, es.OutcomeNotApplied)
	equal(t, must[int64](t)(service.CountKeys(ctx, "s", es.WithPrefix("m"))), int64(0))
	_, err = service.BatchSetKeys(ctx, "", nil)
	fails(t, err, codes.InvalidArgument, "STORE_NAME_INVALID")
	_, err = service.BatchGetKeys(ctx, "", nil)
	fails(t, err, codes.InvalidArgument, "STORE_NAME_INVALID")
	_, err = service.BatchDeleteKeys(ctx, "s", []string{"a", ""})
	equal(t, fails(t, err, codes.InvalidArgument, "KEY_INVALID").Violations[0].Field, "keys[1]")
	_, err = service.BatchGetKeys(ctx, "s", []string{"a", "__store__"})
	fails(t, err, codes.InvalidArgument, "KEY_RESERVED")
}

func TestBatchesThatBreakOff(t *testing.T) {
	ctx := testContext(t)
	scripted := startScripted(t, func(_ context.Context, number int, request any) (any, error) {
		if number > 1 {
			return nil, ourError(codes.ResourceExhausted, "STORAGE_FULL", map[string]string{"outcome": "NOT_APPLIED"})
		}
		switch request := request.(type) {
		case *pb.BatchSetKeysRequest:
			response := &pb.BatchSetKeysResponse{}
			for _, entry := range request.GetEntries() {
				response.Results = append(response.Results,
					&pb.BatchSetKeysResponse_Result{Document: &pb.KeyDocument{Key: entry.GetKey()}, Created: true})
			}
			return response, nil
		case *pb.BatchGetKeysRequest:
			return &pb.BatchGetKeysResponse{UnprocessedKeys: request.GetKeys()}, nil
		}
		return nil, nil
	})
	entries := make([]es.SetEntry, 1500)
	for index := range entries {
		entries[index] = es.SetEntry{Key: fmt.Sprint(index), Value: 1}
	}
	results, err := open(t, scripted.address).Service().BatchSetKeys(ctx, "s", entries)
	e := fails(t, err, codes.ResourceExhausted, "STORAGE_FULL")
	equal(t, e.Outcome, es.OutcomeUnknown)
	contains(t, e.Message, "the first 1000 of 1500 are done")
	equal(t, len(results), 1000)

	stuck := startScripted(t, scripted.answer)
	_, err = open(t, stuck.address).Service().BatchGetKeys(ctx, "s", []string{"a"})
	fails(t, err, codes.Internal, "INTERNAL")
}
