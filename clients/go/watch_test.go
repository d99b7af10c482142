package executionstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	es "github.com/execution-store/execution-store/clients/go"
)

func TestWatchingChanges(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		client := open(t, address)
		store := client.Store("s")
		watch := store.Watch(ctx, es.WithPrevious())
		reader := read(t, watch)
		started := reader.event()
		equal(t, started.Type, es.EventStarted)
		equal(t, started.ProgressInterval, 10*time.Second)
		equal(t, watch.ResumeToken(), started.ResumeToken)

		must[*es.SetResult](t)(store.Set(ctx, "a", "one"))
		must[*es.SetResult](t)(client.Store("other").Set(ctx, "a", "elsewhere"))
		must[*es.SetResult](t)(store.Set(ctx, "a", "two"))
		must[bool](t)(store.Delete(ctx, "a"))
		must[*es.SetResult](t)(store.Set(ctx, "b", 1, es.WithTTL(time.Millisecond)))

		created := reader.event()
		equal(t, created.Type, es.EventCreated)
		equal(t, []string{created.StoreName, created.Key, created.DatasetID}, []string{"s", "a", store.Service().DatasetID()})
		var value string
		ok(t, created.Document.Decode(&value))
		equal(t, value, "one")
		equal(t, created.Previous, (*es.KeyDocument)(nil))
		equal(t, created.CommitTime.IsZero(), false)
		updated := reader.event()
		equal(t, updated.Type, es.EventUpdated)
		ok(t, updated.Previous.Decode(&value))
		equal(t, value, "one")
		deleted := reader.event()
		equal(t, deleted.Type, es.EventDeleted)
		equal(t, deleted.Document, (*es.KeyDocument)(nil))
		ok(t, deleted.Previous.Decode(&value))
		equal(t, value, "two")
		equal(t, reader.changes(2), []string{"created b", "expired b"})
	})
}

func TestWatchesOfSelectedKeys(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		client := open(t, address)
		store := client.Store("s")
		one := read(t, store.Watch(ctx, es.WithKey("b")))
		prefixed := read(t, store.Watch(ctx, es.WithPrefix("a"), es.WithEncoding(es.EncodingNone)))
		typed := read(t, store.Watch(ctx, es.WithEventTypes(es.EventDeleted)))
		asJSON := read(t, client.Service().WatchKeys(ctx, es.WithEncoding(es.EncodingJSON)))
		for _, reader := range []*reading{one, prefixed, typed, asJSON} {
			equal(t, reader.event().Type, es.EventStarted)
		}
		must[*es.SetResult](t)(store.Set(ctx, "a1", "x"))
		must[*es.SetResult](t)(client.Store("t").Set(ctx, "b", "y"))
		must[*es.SetResult](t)(store.Set(ctx, "b", "z"))
		must[bool](t)(store.Delete(ctx, "a1"))
		equal(t, one.changes(1), []string{"created b"})
		equal(t, prefixed.event().Document.HasValue(), false)
		equal(t, prefixed.changes(1), []string{"deleted a1"})
		equal(t, typed.changes(1), []string{"deleted a1"})
		var value string
		ok(t, asJSON.event().Document.Decode(&value))
		equal(t, value, "x")
		equal(t, asJSON.event().StoreName, "t")
	})
}

func TestSnapshotsAndTokens(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		store := open(t, address).Store("s")
		must[*es.SetResult](t)(store.Set(ctx, "b", 1))
		must[*es.SetResult](t)(store.Set(ctx, "a", 1))
		watch := store.Watch(ctx, es.WithSnapshot())
		reader := read(t, watch)
		equal(t, reader.take(3), []string{"started", "existing a", "existing b"})
		equal(t, watch.ResumeToken(), "")
		equal(t, reader.event().Type, es.EventSnapshotComplete)
		must[*es.SetResult](t)(store.Set(ctx, "c", 1))
		equal(t, reader.changes(1), []string{"created c"})
		token := watch.ResumeToken()
		watch.Close()
		must[bool](t)(store.Delete(ctx, "a"))

		again := store.Watch(ctx, es.WithResumeToken(token))
		equal(t, again.ResumeToken(), token)
		equal(t, read(t, again).changes(1), []string{"deleted a"})
		other := read(t, store.Watch(ctx, es.WithResumeToken(token), es.WithKey("a")))
		fails(t, other.err(), codes.InvalidArgument, "RESUME_TOKEN_INVALID")
	})
}

func TestWatchesThatCannotBe(t *testing.T) {
	ctx := testContext(t)
	client := open(t, shared.lmdb.address)
	store := client.Store("s")
	policy := es.DefaultWatchRetryPolicy()
	policy.MaxAttempts = 0
	for reason, option := range map[es.Reason]es.WatchOption{
		"RESUME_TOKEN_INVALID":      es.WithResumeToken(""),
		"EVENT_TYPE_INVALID":        es.WithEventTypes(),
		"PROGRESS_INTERVAL_INVALID": es.WithProgressInterval(0),
		"CLIENT_OPTION_INVALID":     es.WithBuffer(0, 1),
		"ENCODING_INVALID":          es.WithEncoding(17),
		"KEY_INVALID":               es.WithKey(""),
	} {
		fails(t, read(t, store.Watch(ctx, option)).err(), codes.InvalidArgument, reason)
	}
	fails(t, read(t, store.Watch(ctx, es.WithEventTypes(es.EventReset))).err(), codes.InvalidArgument, "EVENT_TYPE_INVALID")
	fails(t, read(t, store.Watch(ctx, es.WithOnHistoryLost(7))).err(), codes.InvalidArgument, "CLIENT_OPTION_INVALID")
	fails(t, read(t, store.Watch(ctx, es.WithWatchRetry(policy))).err(), codes.InvalidArgument, "CLIENT_OPTION_INVALID")
	fails(t, read(t, store.Watch(ctx, es.WithKey("a"), es.WithPrefix("b"))).err(), codes.InvalidArgument, "SELECTOR_AMBIGUOUS")
	fails(t, read(t, client.Service().WatchKeys(ctx, es.WithStore(""))).err(), codes.InvalidArgument, "STORE_NAME_INVALID")
	fails(t, read(t, client.Service().WatchKeys(ctx, es.WithAllContexts())).err(), codes.InvalidArgument, "SELECTOR_AMBIGUOUS")
}

func TestAllContexts(t *testing.T) {
	ctx := testContext(t)
	client := open(t, startOwn(t).address)
	all := read(t, client.Service(es.WithDataset("")).WatchKeys(ctx, es.WithAllContexts(), es.WithStore("s")))
	equal(t, all.event().Type, es.EventStarted)
	must[*es.SetResult](t)(client.Store("s").Set(ctx, "a", 1))
	event := all.event()
	equal(t, event.DatasetID, client.Service().DatasetID())
}

func TestEndsOfWatches(t *testing.T) {
	ctx := testContext(t)
	client := open(t, shared.lmdb.address)
	store := client.Store("s")

	// Ending the loop closes the watch, and it cannot be read again.
	watch := store.Watch(ctx)
	for event, err := range watch.Events() {
		ok(t, err)
		equal(t, event.Type, es.EventStarted)
		break
	}
	for err := range errorsOf(watch) {
		fails(t, err, codes.FailedPrecondition, es.ReasonClientClosed)
	}

	// Close ends it without an error, also before it is read.
	closed := store.Watch(ctx)
	closed.Close()
	equal(t, read(t, closed).err(), nil)
	closing := store.Watch(ctx)
	reader := read(t, closing)
	reader.event()
	time.AfterFunc(20*time.Millisecond, closing.Close)
	equal(t, reader.err(), nil)

	// The context ends it with its error.
	cancelled, cancel := context.WithCancel(ctx)
	reader = read(t, store.Watch(cancelled))
	reader.event()
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := reader.err(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if err := read(t, store.Watch(short)).err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}

	// So does the client, without one.
	reader = read(t, store.Watch(ctx))
	reader.event()
	time.AfterFunc(20*time.Millisecond, func() { _ = client.Close() })
	equal(t, reader.err(), nil)
}

func TestLostHistory(t *testing.T) {
	ctx := testContext(t)
	own := startOwn(t, "--history-size", "1MB")
	store := open(t, own.address).Store("s")
	watch := store.Watch(ctx)
	read(t, watch).event()
	token := watch.ResumeToken()
	watch.Close()
	large := make([]byte, 1<<18)
	lost := func() bool {
		must[*es.SetResult](t)(store.Set(ctx, "k", large))
		err := read(t, store.Watch(ctx, es.WithResumeToken(token), es.WithEventTypes(es.EventDeleted), es.WithProgressInterval(time.Second))).firstError()
		return errors.Is(err, es.ErrHistoryLost)
	}
	until(t, "the history is lost", lost)
	fails(t, read(t, store.Watch(ctx, es.WithResumeToken(token))).err(), codes.OutOfRange, es.ReasonHistoryLost)

	again := store.Watch(ctx, es.WithResumeToken(token), es.WithOnHistoryLost(es.HistoryLostSnapshot), soonAgain())
	reader := read(t, again)
	reset := reader.event()
	equal(t, reset.Type, es.EventReset)
	equal(t, reset.ResetCause, es.ResetHistoryLost)
	if !errors.Is(reset.Err, es.ErrHistoryLost) {
		t.Fatal(reset.Err)
	}
	equal(t, again.ResumeToken(), "")
	equal(t, reader.take(2), []string{"started", "existing k"})
	equal(t, reader.event().Type, es.EventSnapshotComplete)
}

// firstError is the error that a watch begins with, if it does.
func (r *reading) firstError() error {
	_, err, _ := r.next()
	return err
}
