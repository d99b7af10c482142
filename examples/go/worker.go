package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"sync"
	"time"

	executionstore "github.com/execution-store/execution-store/clients/go"
)

// cacheTTL is how long the content hash of a version of a file is kept.
const cacheTTL = 24 * time.Hour

// concurrency is how many files are worked on at the same time.
const concurrency = 8

// progressInterval is the time between two writes of the progress.
const progressInterval = 200 * time.Millisecond

const progressKey = "progress"

// progress is how far a run is; stored under "progress".
type progress struct {
	Folder string `bson:"folder"`
	Total  int    `bson:"total"`
	// Done counts finished files: computed, served from the store, or failed.
	Done     int `bson:"done"`
	Computed int `bson:"computed"`
	Served   int `bson:"served"`
	Failed   int `bson:"failed"`
	// SavedMs is what computing the served results had taken.
	SavedMs float64 `bson:"savedMs"`
	// SavedBytes are those of files that did not have to be read.
	SavedBytes int64 `bson:"savedBytes"`
	// State is "running" or "finished".
	State string `bson:"state"`
}

// worker computes statistics of every file in a folder and keeps them in the execution store:
//
//	results       under the content's hash: a file that was ever computed, under any name, never is again
//	intermediate  the content hash of each version of a file, in the cache, for a day
//	progress      under "progress": anyone may look how far the work is
//
// Run it twice: the second run is served from the store. Kill it half-way: the next run continues. The workers in
// TypeScript and Python beside it keep the same under the same keys: what one has computed, all are served.
type worker struct {
	store  *executionstore.Store
	folder string
	// onProgress hears of every finished file, one at a time.
	onProgress func(progress)
	// onError hears of files that cannot be read; the work goes on.
	onError func(path string, err error)

	hashes  map[string]string
	results map[string]analysis

	mu       sync.Mutex
	progress progress
}

// run works through the folder and answers the final progress.
func (w *worker) run(ctx context.Context) (progress, error) {
	files, err := walk(w.folder)
	if err != nil {
		return progress{}, err
	}
	w.progress = progress{Folder: w.folder, Total: len(files), State: "running"}
	if err := w.lookUp(ctx, files); err != nil {
		return progress{}, err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	finished := make(chan struct{})
	var reporting, working sync.WaitGroup
	reporting.Go(func() {
		if err := w.report(ctx, finished); err != nil {
			fail(err)
		}
	})
	queue := make(chan foundFile)
	for range concurrency {
		working.Go(func() {
			for file := range queue {
				if err := w.work(ctx, file); err != nil {
					fail(err)
				}
			}
		})
	}
	feed(ctx, queue, files)
	working.Wait()
	close(finished)
	reporting.Wait()
	if ctx.Err() != nil {
		return progress{}, context.Cause(ctx)
	}
	w.progress.State = "finished"
	_, err = w.store.Set(ctx, progressKey, w.progress)
	return w.progress, err
}

// feed hands the files out until all are, or the work has failed.
func feed(ctx context.Context, queue chan<- foundFile, files []foundFile) {
	defer close(queue)
	for _, file := range files {
		select {
		case queue <- file:
		case <-ctx.Done():
			return
		}
	}
}

// lookUp asks what is known, in two requests, whatever the number of files.
func (w *worker) lookUp(ctx context.Context, files []foundFile) error {
	versions := make([]string, len(files))
	for index, file := range files {
		versions[index] = versionKey(file)
	}
	var err error
	if w.hashes, err = executionstore.GetMany[string](ctx, w.store, versions); err != nil {
		return err
	}
	keys := make([]string, 0, len(w.hashes))
	for _, hash := range w.hashes {
		keys = append(keys, resultKey(hash))
	}
	w.results, err = executionstore.GetMany[analysis](ctx, w.store, keys)
	return err
}

// work finishes one file.
func (w *worker) work(ctx context.Context, file foundFile) error {
	err := w.process(ctx, file)
	// A file that vanished or may not be read is the file's fault; anything else ends the work.
	if fault := (*fs.PathError)(nil); errors.As(err, &fault) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.onError(file.path, err)
		w.progress.Failed++
		w.advance()
		return nil
	}
	return err
}

func (w *worker) process(ctx context.Context, file foundFile) error {
	hash, known := w.hashes[versionKey(file)]
	if !known {
		var err error
		if hash, err = contentHash(file.path); err != nil {
			return err
		}
		if _, err := w.store.SetCache(ctx, versionKey(file), hash, executionstore.WithTTL(cacheTTL)); err != nil {
			return err
		}
	}
	stored, found := w.results[resultKey(hash)]
	if !found {
		var err error
		stored, err = executionstore.Get[analysis](ctx, w.store, resultKey(hash))
		if errors.Is(err, executionstore.ErrKeyNotFound) {
			return w.compute(ctx, file, hash)
		}
		if err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.progress.Served++
	// To a microsecond, as each of them is: sums of binary fractions have digits that mean nothing.
	w.progress.SavedMs = math.Round((w.progress.SavedMs+stored.ComputeMs)*1000) / 1000
	if known {
		w.progress.SavedBytes += file.bytes
	}
	w.advance()
	return nil
}

func (w *worker) compute(ctx context.Context, file foundFile, hash string) error {
	result, err := analyze(file.path)
	if err != nil {
		return err
	}
	if _, err := w.store.Set(ctx, resultKey(hash), result); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.progress.Computed++
	w.advance()
	return nil
}

// advance counts a finished file. The lock is held.
func (w *worker) advance() {
	w.progress.Done++
	w.onProgress(w.progress)
}

// report keeps the progress in the store until the work is finished.
func (w *worker) report(ctx context.Context, finished <-chan struct{}) error {
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	for {
		w.mu.Lock()
		now := w.progress
		w.mu.Unlock()
		if _, err := w.store.Set(ctx, progressKey, now); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-finished:
			return nil
		}
	}
}

// versionKey is the cache key of one version of a file.
func versionKey(file foundFile) string {
	path, err := filepath.Abs(file.path)
	if err != nil {
		path = file.path // without a working directory no other process can name the file either
	}
	version := fmt.Sprintf("%s\x00%d\x00%d", path, file.bytes, file.modified.UnixNano())
	return fmt.Sprintf("hash-of:%x", sha256.Sum256([]byte(version)))
}

func resultKey(hash string) string { return "analysis:" + hash }
