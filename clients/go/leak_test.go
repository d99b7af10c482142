package executionstore_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	es "github.com/execution-store/execution-store/clients/go"
)

// TestNothingIsLeftRunning uses everything that has goroutines, and looks for those of this package and of gRPC clients
// afterwards. It runs alone, since it is not parallel, and tests that are wait for those that are not.
func TestNothingIsLeftRunning(t *testing.T) {
	before := ownGoroutines()
	useEverything(t)
	deadline := time.Now().Add(20 * time.Second)
	for len(ownGoroutines()) > len(before) {
		if time.Now().After(deadline) {
			t.Fatalf("goroutines are left:\n%s", strings.Join(ownGoroutines(), "\n\n"))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func useEverything(t *testing.T) {
	ctx := testContext(t)
	own := startOwn(t)
	client := must[*es.Client](t)(es.New(es.WithAddress(own.address)))
	store := client.Store("s")
	must[*es.SetResult](t)(store.Set(ctx, "a", 1))

	// Watches that end in every way, and some that nobody ends but the client.
	for range store.Watch(ctx, es.WithSnapshot()).Events() {
		break
	}
	store.Watch(ctx)
	closed := store.Watch(ctx)
	read(t, closed).event()
	closed.Close()
	read(t, store.Watch(ctx)).event()
	full := read(t, store.Watch(ctx, es.WithBuffer(1, 1)))
	full.event()
	for number := range 50 {
		must[*es.SetResult](t)(store.Set(ctx, "a", number))
	}
	mirror := store.Mirror(ctx)
	ok(t, mirror.Ready(ctx))
	mirror.Close()
	ok(t, store.Mirror(ctx).Ready(ctx))
	messages := make(inbox, 100)
	store.Unsubscribe(store.Subscribe(ctx, messages.take))
	store.Subscribe(ctx, messages.take)
	for range store.Keys(ctx) {
		break
	}
	// One that tries to connect again when the client is closed.
	interrupted := make(chan struct{}, 100)
	lost := read(t, store.Watch(ctx, es.WithOnInterruption(func(error, time.Duration) { interrupted <- struct{}{} })))
	lost.event()
	own.kill()
	<-interrupted
	ok(t, client.Close())
}

// ownGoroutines are the stacks of goroutines that this package or the gRPC library's clients run.
func ownGoroutines() []string {
	stacks := make([]byte, 1<<22)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var own []string
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		started := strings.Contains(stack, "created by github.com/execution-store/execution-store/clients/go.") ||
			strings.Contains(stack, "created by google.golang.org/grpc")
		if started {
			own = append(own, stack)
		}
	}
	return own
}
