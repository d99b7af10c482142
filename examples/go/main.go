// Command go is a worker that computes statistics of every file in a folder: go run . FOLDER
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"time"

	executionstore "github.com/execution-store/execution-store/clients/go"
)

const usage = `usage: go run . [--address HOST:PORT] [--store NAME] [--clear] FOLDER
       go run . [--address HOST:PORT] [--store NAME] --watch

Computes statistics of every file in FOLDER and keeps them in the execution store.
  --address   the server (default: EXECUTION_STORE_ADDRESS, or 127.0.0.1:50051)
  --store     the store to keep them in (default: file-statistics)
  --clear     forget what the store holds, and begin anew
  --watch     follow the progress of a worker in another process, until it is finished
`

type arguments struct {
	address, store, folder string
	clear, watch           bool
}

// readArguments takes flags before and behind the folder. It fails for what is not as usage says.
func readArguments(words []string) (arguments, error) {
	var given arguments
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.Usage = func() {}
	flags.StringVar(&given.address, "address", "", "")
	flags.StringVar(&given.store, "store", "file-statistics", "")
	flags.BoolVar(&given.clear, "clear", false, "")
	flags.BoolVar(&given.watch, "watch", false, "")
	var folders []string
	for {
		if err := flags.Parse(words); err != nil {
			return given, err
		}
		if flags.NArg() == 0 {
			break
		}
		folders, words = append(folders, flags.Arg(0)), flags.Args()[1:]
	}
	switch {
	case given.watch && len(folders) == 0 && !given.clear:
		return given, nil
	case !given.watch && len(folders) == 1:
		given.folder = folders[0]
		return given, nil
	}
	return given, errors.New("give either a FOLDER to work on or --watch alone")
}

func counts(now progress) string {
	return fmt.Sprintf("%d computed, %d served from the store, %d failed", now.Computed, now.Served, now.Failed)
}

func summary(now progress, took time.Duration) string {
	text := fmt.Sprintf("%d files in %.1f s: %s", now.Total, took.Seconds(), counts(now))
	if now.Served > 0 {
		text += fmt.Sprintf("\nThe store saved %.1f s of computing and the reading of %.1f MB.",
			now.SavedMs/1000, float64(now.SavedBytes)/1e6)
	}
	return text
}

// showProgress keeps a line of a terminal current.
func showProgress() func(progress) {
	info, err := os.Stderr.Stat()
	if err != nil || info.Mode()&fs.ModeCharDevice == 0 {
		return func(progress) {}
	}
	return func(now progress) {
		end := ""
		if now.Done == now.Total {
			end = "\n"
		}
		fmt.Fprintf(os.Stderr, "\r%d/%d files | %s%s", now.Done, now.Total, counts(now), end)
	}
}

// work runs the worker; whether every file could be read is its first answer.
func work(ctx context.Context, store *executionstore.Store, folder string) (bool, error) {
	started := time.Now()
	w := worker{
		store:      store,
		folder:     folder,
		onProgress: showProgress(),
		onError: func(path string, err error) {
			fmt.Fprintf(os.Stderr, "cannot read %s: %v\n", path, err)
		},
	}
	result, err := w.run(ctx)
	if err != nil {
		return false, err
	}
	fmt.Println(summary(result, time.Since(started)))
	return result.Failed == 0, nil
}

func follow(ctx context.Context, store *executionstore.Store) error {
	return followProgress(ctx, store, func(now progress) {
		fmt.Printf("%s: %d/%d files: %s\n", now.State, now.Done, now.Total, counts(now))
	}, func() {
		fmt.Fprintf(os.Stderr, "watching the progress in %q\n", store.Name())
	})
}

func run(ctx context.Context, given arguments) (bool, error) {
	var options []executionstore.Option
	if given.address != "" {
		options = append(options, executionstore.WithAddress(given.address))
	}
	client, err := executionstore.New(options...)
	if err != nil {
		return false, err
	}
	defer client.Close()
	store := client.Store(given.store)
	if given.clear {
		if _, err := store.Clear(ctx); err != nil {
			return false, err
		}
	}
	if given.watch {
		return true, follow(ctx, store)
	}
	return work(ctx, store, given.folder)
}

func main() {
	given, err := readArguments(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v\n\n%s", err, usage)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	good, err := run(ctx, given)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case !good:
		os.Exit(1)
	}
}
