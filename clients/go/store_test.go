package executionstore_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	es "github.com/execution-store/execution-store/clients/go"
)

func TestStoreFacade(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		store := open(t, address).Store("s", es.WithDefaultPolicy(es.Evict))
		equal(t, store.Name(), "s")
		equal(t, must[*es.SetResult](t)(store.Set(ctx, "a", 1)).Document.Policy, es.Evict)
		equal(t, must[*es.SetResult](t)(es.Set(ctx, store, "kept", 1, es.WithPolicy(es.Persist))).Document.Policy, es.Persist)
		must[*es.SetResult](t)(store.SetCache(ctx, "cached", 2, es.WithTTL(time.Minute)))
		equal(t, must[bool](t)(store.SetIfAbsent(ctx, "a", 2)), false)
		equal(t, must[bool](t)(store.SetIfAbsent(ctx, "b", 2)), true)
		equal(t, must[*es.KeyDocument](t)(store.Metadata(ctx, "b")).Policy, es.Evict)
		// The default policy is none of compare-and-set, which leaves what is there.
		equal(t, must[bool](t)(store.CompareAndSet(ctx, "kept", es.ExpectValue(1), 2)), true)
		equal(t, must[*es.KeyDocument](t)(store.Metadata(ctx, "kept")).Policy, es.Persist)

		equal(t, must[int](t)(es.Get[int](ctx, store, "kept")), 2)
		_, err := es.Get[int](ctx, store, "none")
		if !errors.Is(err, es.ErrKeyNotFound) || !errors.Is(err, es.ErrNotFound) {
			t.Fatal(err)
		}
		_, err = store.Metadata(ctx, "none")
		fails(t, err, codes.NotFound, es.ReasonKeyNotFound)
		equal(t, must[bool](t)(store.Has(ctx, "a")), true)
		equal(t, must[bool](t)(store.Delete(ctx, "a")), true)
		equal(t, must[*es.KeyDocument](t)(store.UpdateTTL(ctx, "b", time.Minute)).Expires(), true)
		equal(t, must[*es.KeyDocument](t)(store.UpdatePolicy(ctx, "b", es.Persist)).Expires(), false)
		equal(t, must[[]string](t)(es.Collect(store.Keys(ctx))), []string{"b", "cached", "kept"})
		equal(t, must[[]string](t)(es.Collect(store.Stores(ctx))), []string{"s"})
		equal(t, must[int64](t)(store.Count(ctx)), int64(3))
		equal(t, must[int64](t)(store.ClearCache(ctx)), int64(1))
		equal(t, must[int64](t)(store.Clear(ctx)), int64(2))
	})
}

func TestManyKeysOfAStore(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		store := open(t, address).Store("s", es.WithDefaultPolicy(es.Evict))
		ok(t, es.SetMany(ctx, store, map[string]int{"a": 1, "b": 2}, es.WithTTL(time.Hour)))
		equal(t, must[*es.KeyDocument](t)(store.Metadata(ctx, "a")).Expires(), true)
		ok(t, store.SetMany(ctx, map[string]any{"b": 3}))
		equal(t, must[*es.KeyDocument](t)(store.Metadata(ctx, "b")).Policy, es.Evict)
		got := must[map[string]int](t)(es.GetMany[int](ctx, store, []string{"b", "none", "a", "b"}))
		equal(t, got, map[string]int{"a": 1, "b": 3})
		// Nothing of one value shows in the next, whose memory it shares.
		ok(t, store.SetMany(ctx, map[string]any{"p": map[string]any{"x": 1, "y": []int{1}}, "q": map[string]any{"z": 2}, "r": map[string]any{"y": []int{3}}}))
		type fields struct {
			X, Z int
			Y    []int
		}
		equal(t, must[map[string]fields](t)(es.GetMany[fields](ctx, store, []string{"p", "q", "r"})),
			map[string]fields{"p": {X: 1, Y: []int{1}}, "q": {Z: 2}, "r": {Y: []int{3}}})
		equal(t, must[int64](t)(store.DeleteMany(ctx, []string{"p", "q", "r"})), int64(3))
		documents := must[map[string]*es.KeyDocument](t)(store.GetMany(ctx, []string{"a"}, es.WithEncoding(es.EncodingNone)))
		equal(t, len(documents), 1)
		values := must[[]es.Entry[int]](t)(es.Collect(es.Values[int](ctx, store)))
		equal(t, values, []es.Entry[int]{{Key: "a", Value: 1}, {Key: "b", Value: 3}})
		_, err := es.Collect(es.Values[string](ctx, store))
		fails(t, err, codes.InvalidArgument, es.ReasonValueInvalid)
		equal(t, must[int64](t)(store.DeleteMany(ctx, []string{"a", "a", "none"})), int64(1))
	})
}

func TestCollectionsAndDatasets(t *testing.T) {
	ctx := testContext(t)
	own := startOwn(t, "--collections", "other")
	client := open(t, own.address, es.WithCollection("other"))
	must[*es.SetResult](t)(client.Store("s").Set(ctx, "a", 1))
	equal(t, must[bool](t)(client.Store("s", es.WithCollection("")).Has(ctx, "a")), false)
	equal(t, must[bool](t)(client.Store("s", es.WithDataset("")).Has(ctx, "a")), false)
	_, err := client.Store("s", es.WithCollection("forbidden")).Has(ctx, "a")
	fails(t, err, codes.PermissionDenied, "COLLECTION_NOT_ALLOWED")
	_, err = client.Store("s", es.WithDataset("xyz")).Has(ctx, "a")
	e := fails(t, err, codes.InvalidArgument, "DATASET_ID_INVALID")
	equal(t, e.Violations[0].Field, "dataset_id")
}
