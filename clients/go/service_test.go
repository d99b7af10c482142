package executionstore_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	es "github.com/execution-store/execution-store/clients/go"
)

func TestSettingAndReadingKeys(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		service := open(t, address).Service()
		set := must[*es.SetResult](t)(service.SetKey(ctx, "s", "a", "one", es.WithTTL(time.Hour)))
		equal(t, set.Created, true)
		equal(t, set.Document.Policy, es.Evict)
		equal(t, set.Document.HasValue(), false)
		equal(t, set.Document.ExpiresAt.Sub(set.Document.UpdatedAt), time.Hour)
		document := must[*es.KeyDocument](t)(service.GetKey(ctx, "s", "a"))
		var value string
		ok(t, document.Decode(&value))
		equal(t, value, "one")
		equal(t, []string{document.StoreName, document.Key, document.DatasetID, document.Etag},
			[]string{"s", "a", service.DatasetID(), set.Document.Etag})
		equal(t, document.CreatedAt, set.Document.CreatedAt)

		again := must[*es.SetResult](t)(service.SetKey(ctx, "s", "a", 2))
		equal(t, again.Created, false)
		equal(t, again.Document.Expires(), false)
		equal(t, again.Document.Policy, es.Persist)
		if !again.Document.UpdatedAt.After(set.Document.UpdatedAt) {
			t.Fatal("updated_at did not grow")
		}
		equal(t, must[bool](t)(service.HasKey(ctx, "s", "a")), true)
		equal(t, must[bool](t)(service.HasKey(ctx, "s", "b")), false)

		none := must[*es.KeyDocument](t)(service.GetKey(ctx, "s", "a", es.WithEncoding(es.EncodingNone)))
		equal(t, none.HasValue(), false)
		fails(t, none.Decode(&value), codes.FailedPrecondition, "FAILED_PRECONDITION")
		_, err := service.GetKey(ctx, "s", "a", es.WithEncoding(9))
		fails(t, err, codes.InvalidArgument, "ENCODING_INVALID")
		_, err = service.GetKey(ctx, "s", "b")
		fails(t, err, codes.NotFound, es.ReasonKeyNotFound)
	})
}

func TestCacheKeysAndPolicies(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		service := open(t, address).Service()
		cached := must[*es.SetResult](t)(service.SetCacheKey(ctx, "s", "cached", 1))
		equal(t, cached.Document.Policy, es.Evict)
		equal(t, cached.Document.Expires(), false)
		_, err := service.SetCacheKey(ctx, "s", "cached", 1, es.WithPolicy(es.Persist))
		equal(t, fails(t, err, codes.InvalidArgument, "POLICY_INVALID").Outcome, es.OutcomeNotApplied)
		must[*es.SetResult](t)(service.SetKey(ctx, "s", "kept", 1))
		must[*es.SetResult](t)(service.SetKey(ctx, "other", "cached", 1, es.WithPolicy(es.Evict)))

		equal(t, must[*es.KeyDocument](t)(service.UpdateTTL(ctx, "s", "kept", time.Minute)).Policy, es.Evict)
		kept := must[*es.KeyDocument](t)(service.UpdatePolicy(ctx, "s", "kept", es.Persist))
		equal(t, kept.Policy, es.Persist)
		equal(t, kept.Expires(), false)
		_, err = service.UpdateTTL(ctx, "s", "none", time.Minute)
		fails(t, err, codes.NotFound, es.ReasonKeyNotFound)
		_, err = service.UpdateTTL(ctx, "s", "kept", 0)
		fails(t, err, codes.InvalidArgument, "TTL_NOT_POSITIVE")
		_, err = service.UpdatePolicy(ctx, "s", "kept", es.PolicyDefault)
		fails(t, err, codes.InvalidArgument, "POLICY_INVALID")

		_, err = service.ClearCache(ctx, "")
		fails(t, err, codes.InvalidArgument, "STORE_NAME_INVALID")
		equal(t, must[int64](t)(service.ClearCache(ctx, "s")), int64(1))
		equal(t, must[int64](t)(service.ClearCaches(ctx)), int64(1))
		equal(t, must[int64](t)(service.CountKeys(ctx, "s")), int64(1))
	})
}

func TestConditionalWrites(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		service := open(t, address).Service()
		won := must[*es.ConditionalResult](t)(service.SetKeyIfAbsent(ctx, "s", "lock", "me", es.WithTTL(time.Hour)))
		equal(t, won.Set, true)
		lost := must[*es.ConditionalResult](t)(service.SetKeyIfAbsent(ctx, "s", "lock", "you"))
		equal(t, lost.Set, false)
		equal(t, lost.Document.Etag, won.Document.Etag)

		missing := must[*es.ConditionalResult](t)(service.CompareAndSetKey(ctx, "s", "none", es.ExpectValue(1), 2))
		equal(t, missing, &es.ConditionalResult{})
		wrong := must[*es.ConditionalResult](t)(service.CompareAndSetKey(ctx, "s", "lock", es.ExpectValue("you"), 2))
		equal(t, wrong.Set, false)
		right := must[*es.ConditionalResult](t)(service.CompareAndSetKey(ctx, "s", "lock", es.ExpectValue("me"), 7))
		equal(t, right.Set, true)
		equal(t, right.Document.Policy, es.Evict)
		equal(t, right.Document.Expires(), true)
		stale := must[*es.ConditionalResult](t)(service.CompareAndSetKey(ctx, "s", "lock", es.ExpectEtag(won.Document.Etag), 8))
		equal(t, stale.Set, false)
		// Numbers are equal by value, whatever their type.
		double := must[*es.ConditionalResult](t)(service.CompareAndSetKey(ctx, "s", "lock", es.ExpectValue(7.0), 8, es.WithPolicy(es.Persist)))
		equal(t, double.Set, true)
		equal(t, double.Document.Expires(), false)
		equal(t, must[*es.ConditionalResult](t)(
			service.CompareAndSetKey(ctx, "s", "lock", es.ExpectEtag(double.Document.Etag), 9, es.WithEncoding(es.EncodingJSON))).Set, true)
		_, err := service.CompareAndSetKey(ctx, "s", "lock", es.ExpectEtag(""), 1)
		fails(t, err, codes.InvalidArgument, "ETAG_EMPTY")
		_, err = service.CompareAndSetKey(ctx, "s", "lock", es.Expectation{}, 1)
		fails(t, err, codes.InvalidArgument, "EXPECTED_MISSING")

		_, err = service.DeleteKey(ctx, "s", "lock", es.IfEtag(""))
		fails(t, err, codes.InvalidArgument, "ETAG_EMPTY")
		equal(t, must[bool](t)(service.DeleteKey(ctx, "s", "lock", es.IfEtag(double.Document.Etag))), false)
		equal(t, must[bool](t)(service.DeleteKey(ctx, "s", "lock")), true)
		equal(t, must[bool](t)(service.DeleteKey(ctx, "s", "lock")), false)
	})
}

func TestStores(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		service := open(t, address).Service()
		created := must[*es.StoreDocument](t)(service.CreateStore(ctx, "b",
			es.WithMetadata(map[string]any{"owner": "me", "big": int64(1) << 60}), es.WithPolicy(es.Evict)))
		equal(t, created.Policy, es.Evict)
		_, err := service.CreateStore(ctx, "b")
		e := fails(t, err, codes.AlreadyExists, es.ReasonStoreAlreadyExists)
		equal(t, e.Resource, &es.Resource{Type: "store", Name: "b"})
		_, err = service.CreateStore(ctx, "c", es.WithMetadata(3))
		fails(t, err, codes.InvalidArgument, "METADATA_INVALID")
		must[*es.SetResult](t)(service.SetKey(ctx, "a", "k", 1))

		read := must[*es.StoreDocument](t)(service.GetStore(ctx, "b"))
		equal(t, read, created)
		equal(t, read.Metadata, map[string]any{"owner": "me", "big": map[string]any{"$numberLong": "1152921504606846976"}})
		implicit := must[*es.StoreDocument](t)(service.GetStore(ctx, "a"))
		equal(t, implicit, &es.StoreDocument{StoreName: "a", DatasetID: service.DatasetID()})
		_, err = service.GetStore(ctx, "none")
		fails(t, err, codes.NotFound, es.ReasonStoreNotFound)

		equal(t, must[bool](t)(service.HasStore(ctx, "a")), true)
		equal(t, must[bool](t)(service.HasStore(ctx, "none")), false)
		equal(t, must[int64](t)(service.CountStores(ctx)), int64(2))
		equal(t, must[[]string](t)(es.Collect(service.Stores(ctx, es.WithPageSize(1)))), []string{"a", "b"})
		equal(t, must[[]string](t)(es.Collect(service.Stores(ctx, es.WithPrefix("b")))), []string{"b"})
		equal(t, must[int64](t)(service.DeleteStore(ctx, "a")), int64(1))
		equal(t, must[int64](t)(service.DeleteStore(ctx, "a")), int64(0))
		equal(t, must[int64](t)(service.Cleanup(ctx)), int64(1))
		equal(t, must[int64](t)(service.CountStores(ctx)), int64(0))
	})
}

func TestGlobalMethods(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		client := open(t, address)
		service := client.Service()
		none := client.Service(es.WithDataset(""))
		// Other tests share these methods' view: the name tells ours apart.
		name := "global-" + service.DatasetID()
		must[*es.SetResult](t)(service.SetKey(ctx, name, "k", 1))
		must[*es.SetResult](t)(none.SetKey(ctx, name, "k", 1))
		must[*es.SetResult](t)(none.SetKey(ctx, name, "l", 1))

		equal(t, must[bool](t)(service.HasStoreGlobal(ctx, name)), true)
		equal(t, must[bool](t)(service.HasStoreGlobal(ctx, name+"?")), false)
		stores := must[[]*es.StoreDocument](t)(es.Collect(service.StoresGlobal(ctx, es.WithPrefix(name), es.WithPageSize(1))))
		equal(t, stores, []*es.StoreDocument{{StoreName: name}, {StoreName: name, DatasetID: service.DatasetID()}})
		if must[int64](t)(service.CountStoresGlobal(ctx)) < 2 {
			t.Fatal("the count leaves stores out")
		}
		equal(t, must[es.GlobalDeletion](t)(service.DeleteStoreGlobal(ctx, name)), es.GlobalDeletion{Stores: 2, Documents: 3})
	})
}

func TestLists(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		service := open(t, address).Service()
		for _, key := range []string{"b", "a", "é", "Z"} {
			must[*es.SetResult](t)(service.SetKey(ctx, "s", key, key+"!"))
		}
		equal(t, must[[]string](t)(es.Collect(service.Keys(ctx, "s", es.WithPageSize(2)))), []string{"Z", "a", "b", "é"})
		first := must[*es.Page[string]](t)(service.ListKeys(ctx, "s", es.WithPageSize(3)))
		equal(t, first.Items, []string{"Z", "a", "b"})
		rest := must[[]string](t)(es.Collect(service.Keys(ctx, "s", es.WithPageToken(first.NextToken))))
		equal(t, rest, []string{"é"})
		_, err := service.ListKeys(ctx, "other", es.WithPageToken(first.NextToken))
		fails(t, err, codes.InvalidArgument, "PAGE_TOKEN_INVALID")
		_, err = es.Collect(service.Keys(ctx, "s", es.WithPageSize(10_001)))
		fails(t, err, codes.InvalidArgument, "PAGE_SIZE_INVALID")

		for _, encoding := range []es.Encoding{es.EncodingBSON, es.EncodingJSON} {
			var told []string
			for document, err := range service.Values(ctx, "s", es.WithPageSize(1), es.WithEncoding(encoding)) {
				ok(t, err)
				var value string
				ok(t, document.Decode(&value))
				told = append(told, document.Key+value)
			}
			equal(t, told, []string{"ZZ!", "aa!", "bb!", "éé!"})
		}
		none := must[[]*es.KeyDocument](t)(es.Collect(service.Values(ctx, "s", es.WithEncoding(es.EncodingNone), es.WithPrefix("Z"))))
		equal(t, none[0].HasValue(), false)
		equal(t, must[int64](t)(service.CountKeys(ctx, "s", es.WithPrefix("a"))), int64(1))
		for range service.Keys(ctx, "s", es.WithPageSize(1)) {
			break
		}
	})
}
