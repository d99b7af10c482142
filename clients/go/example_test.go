package executionstore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	executionstore "github.com/execution-store/execution-store/clients/go"
)

type Result struct {
	SHA256 string `bson:"sha256"`
	Width  int
}

// The examples connect to EXECUTION_STORE_ADDRESS or 127.0.0.1:50051.
func Example() {
	ctx := context.Background()
	client, err := executionstore.New()
	if err != nil {
		panic(err)
	}
	defer client.Close()
	store := client.Store("example")
	if _, err := store.Set(ctx, "image-17", Result{SHA256: "9f86d0", Width: 640}, executionstore.WithTTL(time.Hour)); err != nil {
		panic(err)
	}
	result, err := executionstore.Get[Result](ctx, store, "image-17")
	fmt.Println(result.Width, err)
	// Output: 640 <nil>
}

func ExampleGet() {
	ctx := context.Background()
	client, err := executionstore.New()
	if err != nil {
		panic(err)
	}
	defer client.Close()
	store := client.Store("example-get")
	if _, err := executionstore.Get[int](ctx, store, "none"); errors.Is(err, executionstore.ErrKeyNotFound) {
		fmt.Println("not there yet")
	}
	// Output: not there yet
}

func ExampleStore_SetIfAbsent() {
	ctx := context.Background()
	client, err := executionstore.New()
	if err != nil {
		panic(err)
	}
	defer client.Close()
	jobs := client.Store("example-claims")
	for _, worker := range []string{"worker-1", "worker-2"} {
		won, err := jobs.SetIfAbsent(ctx, "claim/image-17", worker, executionstore.WithTTL(time.Minute))
		if err != nil {
			panic(err)
		}
		fmt.Println(worker, won)
	}
	// Output:
	// worker-1 true
	// worker-2 false
}

func ExampleStore_CompareAndSet() {
	ctx := context.Background()
	client, err := executionstore.New()
	if err != nil {
		panic(err)
	}
	defer client.Close()
	store := client.Store("example-counters")
	set, err := store.Set(ctx, "done", 1)
	if err != nil {
		panic(err)
	}
	byValue, _ := store.CompareAndSet(ctx, "done", executionstore.ExpectValue(1), 2)
	byEtag, _ := store.CompareAndSet(ctx, "done", executionstore.ExpectEtag(set.Document.Etag), 3)
	fmt.Println(byValue, byEtag)
	// Output: true false
}

func ExampleGetMany() {
	ctx := context.Background()
	client, err := executionstore.New()
	if err != nil {
		panic(err)
	}
	defer client.Close()
	store := client.Store("example-many")
	if err := executionstore.SetMany(ctx, store, map[string]int{"a": 1, "b": 2}); err != nil {
		panic(err)
	}
	values, err := executionstore.GetMany[int](ctx, store, []string{"a", "b", "c"})
	fmt.Println(values, err)
	// Output: map[a:1 b:2] <nil>
}

func ExampleStore_Keys() {
	ctx := context.Background()
	client, err := executionstore.New()
	if err != nil {
		panic(err)
	}
	defer client.Close()
	store := client.Store("example-keys")
	if err := executionstore.SetMany(ctx, store, map[string]int{"image-1": 1, "image-2": 2, "video-1": 3}); err != nil {
		panic(err)
	}
	for key, err := range store.Keys(ctx, executionstore.WithPrefix("image-")) {
		if err != nil {
			panic(err)
		}
		fmt.Println(key)
	}
	// Output:
	// image-1
	// image-2
}

func ExampleStore_Watch() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := executionstore.New()
	if err != nil {
		panic(err)
	}
	defer client.Close()
	store := client.Store("example-watch")
	if _, err := store.Set(ctx, "progress", 10); err != nil {
		panic(err)
	}
	for event, err := range store.Watch(ctx, executionstore.WithKey("progress"), executionstore.WithSnapshot()).Events() {
		if err != nil {
			panic(err)
		}
		switch event.Type {
		case executionstore.EventSnapshotComplete:
			if _, err := store.Set(ctx, "progress", 100); err != nil {
				panic(err)
			}
		case executionstore.EventExisting, executionstore.EventUpdated:
			var percent int
			if err := event.Document.Decode(&percent); err != nil {
				panic(err)
			}
			fmt.Println(event.Type, percent)
			if percent == 100 {
				return
			}
		}
	}
	// Output:
	// existing 10
	// updated 100
}

func ExampleNewMirror() {
	ctx := context.Background()
	client, err := executionstore.New()
	if err != nil {
		panic(err)
	}
	defer client.Close()
	store := client.Store("example-mirror")
	if _, err := store.Set(ctx, "settings/colour", "red"); err != nil {
		panic(err)
	}
	settings := executionstore.NewMirror[string](ctx, store, executionstore.WithPrefix("settings/"))
	defer settings.Close()
	if err := settings.Ready(ctx); err != nil {
		panic(err)
	}
	colour, err := settings.Get("settings/colour") // no call
	fmt.Println(settings.Len(), colour, err)
	// Output: 1 red <nil>
}

func ExampleStore_Subscribe() {
	ctx := context.Background()
	client, err := executionstore.New()
	if err != nil {
		panic(err)
	}
	defer client.Close()
	store := client.Store("example-subscribe")
	if _, err := store.Set(ctx, "a", 1); err != nil {
		panic(err)
	}
	heard := make(chan string)
	id := store.Subscribe(ctx, func(message executionstore.Message) {
		heard <- fmt.Sprintln(message.Operation, message.Key)
	})
	defer store.Unsubscribe(id)
	fmt.Print(<-heard)
	// Output: initial a
}
