package executionstore_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	es "github.com/execution-store/execution-store/clients/go"
)

func TestMirror(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		store := open(t, address).Store("s")
		must[*es.SetResult](t)(store.Set(ctx, "n/a", 1))
		must[*es.SetResult](t)(store.Set(ctx, "n/text", "no number"))
		must[*es.SetResult](t)(store.Set(ctx, "other", 1))
		mirror := es.NewMirror[int](ctx, store, es.WithPrefix("n/"))
		t.Cleanup(mirror.Close)
		ok(t, mirror.Ready(ctx))
		equal(t, must[int](t)(mirror.Get("n/a")), 1)
		equal(t, mirror.Len(), 2)
		equal(t, maps.Collect(mirror.All()), map[string]int{"n/a": 1})
		_, err := mirror.Get("n/text")
		fails(t, err, codes.InvalidArgument, es.ReasonValueInvalid)
		equal(t, must[*es.KeyDocument](t)(mirror.Document("n/text")).Key, "n/text")
		_, err = mirror.Get("other")
		if !errors.Is(err, es.ErrKeyNotFound) {
			t.Fatal(err)
		}
		equal(t, must[bool](t)(mirror.Has("n/a")), true)
		equal(t, must[bool](t)(mirror.Has("other")), false)

		changes := make(chan es.Change[int], 10)
		remove := mirror.OnChange(func(change es.Change[int]) { changes <- change })
		must[*es.SetResult](t)(store.Set(ctx, "n/a", 2))
		must[*es.SetResult](t)(store.Set(ctx, "n/b", 3, es.WithTTL(50*time.Millisecond)))
		must[bool](t)(store.Delete(ctx, "n/a"))
		updated := <-changes
		equal(t, []any{updated.Type, updated.Key, updated.Value, updated.Err}, []any{es.EventUpdated, "n/a", 2, nil})
		equal(t, updated.Document.Etag != updated.Previous.Etag, true)
		created := <-changes
		equal(t, []any{created.Type, created.Key, created.Value}, []any{es.EventCreated, "n/b", 3})
		equal(t, created.Previous, (*es.KeyDocument)(nil))
		rest := map[string]es.EventType{}
		for range 2 {
			change := <-changes
			rest[change.Key] = change.Type
		}
		equal(t, rest, map[string]es.EventType{"n/a": es.EventDeleted, "n/b": es.EventExpired})
		equal(t, mirror.Len(), 1)
		remove()
		must[*es.SetResult](t)(store.Set(ctx, "n/a", 4))
		until(t, "the mirror has it", func() bool { value, err := mirror.Get("n/a"); return err == nil && value == 4 })
		equal(t, len(changes), 0)

		mirror.Close()
		<-mirror.Done()
		equal(t, must[int](t)(mirror.Get("n/a")), 4)
		ok(t, mirror.Err())
		ok(t, mirror.Ready(ctx))
	})
}

func TestEndsOfMirrors(t *testing.T) {
	ctx := testContext(t)
	scripted := startScripted(t, nil)
	store := open(t, scripted.address).Store("s")
	mirror := store.Mirror(ctx)
	first := scripted.next(t)
	first.send(t, startedMessage("", time.Minute), snapshotMessage(keyEvent(wireExisting, "a", "1")), completeMessage("t1"))
	ok(t, mirror.Ready(ctx))
	first.end <- ourError(codes.PermissionDenied, "COLLECTION_NOT_ALLOWED", nil)
	<-mirror.Done()
	_, err := mirror.Get("a")
	fails(t, err, codes.PermissionDenied, "COLLECTION_NOT_ALLOWED")
	_, err = mirror.Has("a")
	fails(t, err, codes.PermissionDenied, "COLLECTION_NOT_ALLOWED")
	fails(t, mirror.Err(), codes.PermissionDenied, "COLLECTION_NOT_ALLOWED")
	equal(t, maps.Collect(mirror.All()), map[string]any{"a": nil})

	closed := store.Mirror(ctx)
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if err := closed.Ready(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	closed.Close()
	fails(t, closed.Ready(ctx), codes.FailedPrecondition, es.ReasonClientClosed)

	failed := store.Mirror(ctx)
	scripted.next(t)
	scripted.next(t).end <- ourError(codes.PermissionDenied, "COLLECTION_NOT_ALLOWED", nil)
	fails(t, failed.Ready(ctx), codes.PermissionDenied, "COLLECTION_NOT_ALLOWED")
}

func TestAMirrorChangesAtOnce(t *testing.T) {
	ctx := testContext(t)
	scripted := startScripted(t, nil)
	mirror := open(t, scripted.address).Store("s").Mirror(ctx, soonAgain())
	t.Cleanup(mirror.Close)
	told := make(chan es.Change[any], 10)
	mirror.OnChange(func(change es.Change[any]) { told <- change })
	first := scripted.next(t)
	first.send(t, startedMessage("", time.Minute),
		snapshotMessage(keyEvent(wireExisting, "a", "1"), keyEvent(wireExisting, "b", "1"), keyEvent(wireExisting, "c", "1")))
	equal(t, mirror.Len(), 0)
	first.send(t, completeMessage("t1"))
	ok(t, mirror.Ready(ctx))
	equal(t, mirror.Len(), 3)
	first.end <- ourError(codes.OutOfRange, "HISTORY_LOST", nil)
	second := scripted.next(t)
	// A part of a new snapshot is not shown, and one that is interrupted never.
	second.send(t, startedMessage("", time.Minute), snapshotMessage(keyEvent(wireExisting, "z", "1")))
	second.end <- unavailable("", 0)
	third := scripted.next(t)
	third.send(t, startedMessage("", time.Minute), snapshotMessage(keyEvent(wireExisting, "a", "1")),
		snapshotMessage(keyEvent(wireExisting, "b", "2"), keyEvent(wireExisting, "d", "1")))
	equal(t, mirror.Len(), 3)
	third.send(t, completeMessage("t2"))
	changes := map[string]es.EventType{}
	for range 3 {
		change := <-told
		changes[change.Key] = change.Type
	}
	equal(t, changes, map[string]es.EventType{"b": es.EventUpdated, "c": es.EventDeleted, "d": es.EventCreated})
	equal(t, mirror.Len(), 3)
	// A key that had expired when the snapshot was read is nothing to tell.
	third.send(t, eventsMessage("t3", keyEvent(wireExpired, "x", ""), keyEvent(wireCreated, "e", "1")))
	equal(t, (<-told).Key, "e")
}

// TestAMirrorIsExactAcrossCrashes writes at random while the server is killed again and again, and compares.
func TestAMirrorIsExactAcrossCrashes(t *testing.T) {
	t.Run("lmdb", func(t *testing.T) {
		t.Parallel()
		checkMirrorAcrossCrashes(t, startOwn(t))
	})
	t.Run("mongodb", func(t *testing.T) {
		own := startOwnOnMongoDB(t)
		t.Parallel()
		checkMirrorAcrossCrashes(t, own)
	})
}

func checkMirrorAcrossCrashes(t *testing.T, own *server) {
	ctx := testContext(t)
	store := open(t, own.address).Store("s")
	must[*es.SetResult](t)(store.Set(ctx, "0", 0))
	mirror := es.NewMirror[int](ctx, store, soonAgain())
	t.Cleanup(mirror.Close)
	ok(t, mirror.Ready(ctx))
	var mu sync.Mutex
	replayed := map[string]int{"0": 0}
	mirror.OnChange(func(change es.Change[int]) {
		mu.Lock()
		defer mu.Unlock()
		if change.Document == nil {
			delete(replayed, change.Key)
		} else {
			replayed[change.Key] = change.Value
		}
	})
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() { stopped <- writeAtRandom(ctx, store, stop) }()
	for range 3 {
		mirrored := mirrorGrew(t, mirror)
		own.kill()
		ok(t, own.restart())
		<-mirrored
	}
	close(stop)
	ok(t, <-stopped)
	must[*es.SetResult](t)(store.Set(ctx, "last", -1))
	until(t, "the listener has heard of the last change", func() bool {
		mu.Lock()
		defer mu.Unlock()
		_, there := replayed["last"]
		return there
	})
	want := map[string]int{}
	for entry, err := range es.Values[int](ctx, store) {
		ok(t, err)
		want[entry.Key] = entry.Value
	}
	equal(t, maps.Collect(mirror.All()), want)
	equal(t, replayed, want)
	ok(t, mirror.Err())
}

// writeAtRandom sets and deletes keys until it is to stop.
func writeAtRandom(ctx context.Context, store *es.Store, stop <-chan struct{}) error {
	for number := 0; ; number++ {
		select {
		case <-stop:
			return nil
		default:
		}
		key := strconv.Itoa(rand.IntN(20))
		var err error
		if rand.IntN(4) == 0 {
			_, err = store.Delete(ctx, key)
		} else {
			_, err = store.Set(ctx, key, number)
		}
		if err != nil {
			return err
		}
	}
}

// mirrorGrew waits for a change, and gives what is closed after 50 more.
func mirrorGrew(t *testing.T, mirror *es.Mirror[int]) <-chan struct{} {
	t.Helper()
	first, more := make(chan struct{}), make(chan struct{})
	count := 0
	mirror.OnChange(func(es.Change[int]) {
		count++
		switch count {
		case 1:
			close(first)
		case 50:
			close(more)
		}
	})
	<-first
	return more
}
