package main

import (
	"context"

	executionstore "github.com/execution-store/execution-store/clients/go"
)

// followProgress follows the run that is under way, or the next one, of a worker in any language and process, until it
// is finished. onProgress hears of where the work is, and of each change; onReady when no change can be missed any more.
func followProgress(
	ctx context.Context, store *executionstore.Store, onProgress func(progress), onReady func(),
) error {
	watch := store.Watch(ctx, executionstore.WithKey(progressKey), executionstore.WithSnapshot())
	defer watch.Close()
	for event, err := range watch.Events() {
		if err != nil {
			return err
		}
		if event.Type == executionstore.EventSnapshotComplete {
			onReady()
		}
		if event.Document == nil {
			continue
		}
		var now progress
		if err := event.Document.Decode(&now); err != nil {
			return err
		}
		onProgress(now)
		// What was finished before is the run before: the next one is waited for.
		if event.Type != executionstore.EventExisting && now.State == "finished" {
			return nil
		}
	}
	return nil
}
