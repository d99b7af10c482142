package executionstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	es "github.com/execution-store/execution-store/clients/go"
	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

// inbox takes messages in, described.
type inbox chan string

func (b inbox) take(message es.Message) {
	b <- fmt.Sprintf("%s %s", message.Operation, message.Key)
}

func (b inbox) hears(t *testing.T, want ...string) {
	t.Helper()
	for _, expected := range want {
		select {
		case got := <-b:
			equal(t, got, expected)
		case <-time.After(20 * time.Second):
			t.Fatalf("waited in vain for %q", expected)
		}
	}
}

func TestSubscriptions(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		client := open(t, address)
		store := client.Store("s")
		must[*es.SetResult](t)(store.Set(ctx, "a", 1))
		must[*es.SetResult](t)(store.Set(ctx, "left out", 1))
		messages := make(chan es.Message, 10)
		id := store.Subscribe(ctx, func(message es.Message) { messages <- message }, es.WithPrefix("a"))
		initial := <-messages
		equal(t, []any{initial.Operation, initial.Key, initial.DatasetID}, []any{es.OperationInitial, "a", store.Service().DatasetID()})
		equal(t, initial.Timestamp, initial.Document.UpdatedAt)
		must[*es.SetResult](t)(store.Set(ctx, "a", 2))
		must[*es.SetResult](t)(store.Set(ctx, "ab", 1, es.WithTTL(50*time.Millisecond)))
		must[bool](t)(store.Delete(ctx, "a"))
		heard := map[string]bool{}
		for range 4 {
			message := <-messages
			heard[fmt.Sprintf("%s %s", message.Operation, message.Key)] = message.Document != nil
			equal(t, message.Timestamp.IsZero(), false)
		}
		equal(t, heard, map[string]bool{"update a": true, "insert ab": true, "delete a": false, "expire ab": false})
		equal(t, client.Store("other").Unsubscribe(id), true)
		equal(t, store.Unsubscribe(id), false)
		must[*es.SetResult](t)(store.Set(ctx, "a", 3))
		other := make(inbox, 10)
		store.Subscribe(ctx, other.take)
		other.hears(t, "initial a", "initial left out")
		equal(t, len(messages), 0)
	})
}

func TestSubscriptionsOverLostHistory(t *testing.T) {
	scripted := startScripted(t, nil)
	store := open(t, scripted.address).Store("s")
	messages := make(inbox, 10)
	store.Subscribe(testContext(t), messages.take, soonAgain())
	first := scripted.next(t)
	first.send(t, startedMessage("", time.Minute), snapshotMessage(keyEvent(wireExisting, "a", "1"), keyEvent(wireExisting, "b", "1")), completeMessage("t1"))
	messages.hears(t, "initial a", "initial b")
	first.end <- ourError(codes.OutOfRange, "HISTORY_LOST", nil)
	second := scripted.next(t)
	second.send(t, startedMessage("", time.Minute), snapshotMessage(keyEvent(wireExisting, "x", "1")))
	messages.hears(t, "insert x")
	second.end <- unavailable("", 0)
	third := scripted.next(t)
	third.send(t, startedMessage("", time.Minute), snapshotMessage(keyEvent(wireExisting, "b", "2"), keyEvent(wireExisting, "x", "1")), completeMessage("t2"),
		eventsMessage("t3", keyEvent(wireExpired, "gone", ""), keyEvent(wireDeleted, "b", "")))
	messages.hears(t, "update b", "delete a", "delete b")
}

// TestEndsComeAtOnce ends what reads in the middle of the events of one message.
func TestEndsComeAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	scripted := startScripted(t, nil)
	client := open(t, scripted.address)
	store := client.Store("s")
	three := []*pb.WatchKeysResponse{startedMessage("t1", time.Minute), eventsMessage("t2",
		keyEvent(wireCreated, "a", "1"), keyEvent(wireCreated, "b", "1"), keyEvent(wireCreated, "c", "1"))}
	go func() { scripted.next(t).send(t, three...) }()
	heard := ""
	for event, err := range store.Watch(ctx).Events() {
		heard += event.Key
		if event.Key == "a" {
			cancel()
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	equal(t, heard, "a")

	messages := make(inbox, 10)
	closed := make(chan error, 1)
	store.Subscribe(testContext(t), func(message es.Message) {
		messages.take(message)
		if message.Key == "a" {
			closed <- client.Close()
		}
	})
	watch := scripted.next(t)
	watch.send(t, three...)
	messages.hears(t, "insert a")
	ok(t, <-closed)
	<-watch.done
	select {
	case message := <-messages:
		t.Fatalf("told %q after the client was closed", message)
	case <-time.After(100 * time.Millisecond):
	}
}

func TestSubscriptionsThatFail(t *testing.T) {
	scripted := startScripted(t, nil)
	client := open(t, scripted.address)
	store := client.Store("s")
	failed := make(chan error, 1)
	id := store.Subscribe(testContext(t), func(es.Message) {}, es.WithOnError(func(err error) { failed <- err }))
	scripted.next(t).end <- ourError(codes.FailedPrecondition, "REPLICA_SET_REQUIRED", nil)
	fails(t, <-failed, codes.FailedPrecondition, "REPLICA_SET_REQUIRED")
	equal(t, store.Unsubscribe(id), false)
	store.Subscribe(testContext(t), func(es.Message) {}, es.WithOnError(func(err error) { failed <- err }))
	scripted.next(t)
	ok(t, client.Close())
	select {
	case err := <-failed:
		t.Fatalf("closing the client was told as the error %v", err)
	case <-time.After(100 * time.Millisecond):
	}
}
