package executionstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

func TestAddresses(t *testing.T) {
	for text, target := range map[string]string{
		"127.0.0.1:50051":   "dns:127.0.0.1:50051",
		"localhost:1":       "dns:localhost:1",
		"[::1]:65535":       "dns:[::1]:65535",
		"store.example:80":  "dns:store.example:80",
		"unix:/run/s":       "unix:/run/s",
		"unix:///run/s":     "unix:/run/s",
		"unix:relative":     "unix:relative",
		"dns:///host:5":     "dns:///host:5",
		"ipv4:127.0.0.1:80": "ipv4:127.0.0.1:80",
	} {
		got, problem := parseAddress(text)
		if problem != nil || got.target != target || got.label != text {
			t.Errorf("%s: got %+v, %v", text, got, problem)
		}
	}
	for _, text := range []string{"", "host", "host:", ":1", "host:0", "host:65536", "http://host:1", "unix:", "unix://host/s", "a b:1"} {
		if got, problem := parseAddress(text); problem == nil {
			t.Errorf("%q: got %+v", text, got)
		}
	}
	for text, local := range map[string]bool{"localhost:1": true, "127.9.9.9:1": true, "[::1]:1": true, "unix:/s": true, "10.0.0.1:1": false} {
		if got, _ := parseAddress(text); got.local != local {
			t.Errorf("%s: local is %t", text, got.local)
		}
	}
}

func TestDelays(t *testing.T) {
	policy := DefaultRetryPolicy()
	plain, asked := &Error{}, &Error{RetryAfter: 10 * time.Second}
	for _, c := range []struct {
		attempt int
		e       *Error
		random  float64
		want    time.Duration
	}{
		{1, plain, 0, 100 * time.Millisecond},
		{1, plain, 1, 50 * time.Millisecond},
		{3, plain, 0, 400 * time.Millisecond},
		{6, plain, 0, 2 * time.Second},
		{1000, plain, 0, 2 * time.Second},
		{1, asked, 0, 10 * time.Second},
		{1, asked, 1, 12 * time.Second},
	} {
		if got := policy.delay(c.attempt, c.e, c.random); got != c.want {
			t.Errorf("attempt %d: got %s, want %s", c.attempt, got, c.want)
		}
	}
	policy.InitialBackoff = 0
	if got := policy.delay(5000, asked, 0); got != 10*time.Second {
		t.Errorf("without a backoff: got %s, want what the server asks for", got)
	}
}

func TestMethodsAreAsTheContractSays(t *testing.T) {
	for _, c := range []struct {
		method             *method
		writes, repeatable bool
	}{
		{getKey, false, true}, {listValues, false, true}, {setKey, true, true}, {batchSetKeys, true, true},
		{deleteStoreGlobal, true, true}, {setKeyIfAbsent, true, false}, {compareAndSetKey, true, false},
		{createStore, true, false},
	} {
		if c.method.writes != c.writes || c.method.repeatable != c.repeatable {
			t.Errorf("%s: %+v", c.method.name, c.method)
		}
	}
	if getKey.path != pb.StoreService_GetKey_FullMethodName {
		t.Error(getKey.path)
	}
}

func batchOf(keys ...string) eventBatch {
	batch := eventBatch{bytes: len(keys)}
	for _, key := range keys {
		batch.events = append(batch.events, Event{Key: key})
	}
	return batch
}

func TestEventBufferBounds(t *testing.T) {
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, buffer := range []*eventBuffer{newEventBuffer(2, 1000), newEventBuffer(1000, 2)} {
		buffer.add(eventBatch{})
		buffer.add(batchOf("a"))
		if err := buffer.waitForRoom(t.Context()); err != nil {
			t.Fatal(err)
		}
		buffer.add(batchOf("b"))
		if buffer.waitForRoom(soon) == nil {
			t.Fatal("there is room in a full buffer")
		}
		// What was taken counts until it is dealt with, which the next take says.
		events, _, _ := buffer.take()
		if events[0].Key != "a" || buffer.waitForRoom(soon) == nil {
			t.Fatal("what was just taken does not count")
		}
		room := make(chan error, 1)
		go func() { room <- buffer.waitForRoom(t.Context()) }()
		if events, _, _ := buffer.take(); events[0].Key != "b" {
			t.Fatal(events)
		}
		if err := <-room; err != nil {
			t.Fatal(err)
		}
	}
}

func TestEndsOfEventBuffers(t *testing.T) {
	why := errors.New("why")
	buffer := newEventBuffer(10, 10)
	buffer.add(batchOf("a"))
	buffer.end(why, false)
	buffer.end(nil, false)
	buffer.add(batchOf("late"))
	if events, more, _ := buffer.take(); !more || events[0].Key != "a" {
		t.Fatal("an end dropped what was there")
	}
	if _, more, err := buffer.take(); more || err != why {
		t.Fatal("the end is not told")
	}
	dropped := newEventBuffer(1, 1)
	dropped.add(batchOf("a"))
	dropped.end(nil, true)
	if _, more, err := dropped.take(); more || err != nil {
		t.Fatal("what was dropped is there")
	}
	if err := dropped.waitForRoom(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestNamesOfConstants(t *testing.T) {
	for got, want := range map[string]string{
		Persist.String(): "persist", Evict.String(): "evict", PolicyDefault.String(): "default", Policy(9).String(): "Policy(9)",
		EventReset.String(): "reset", EventStarted.String(): "started", EventType(99).String(): "EventType(99)",
		EventType(-1).String(): "EventType(-1)",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if text := (&Error{Code: codes.NotFound, Reason: "R", Message: "m"}).Error(); text != "execution store: m (R)" {
		t.Error(text)
	}
}
