package executionstore_test

import (
	"fmt"
	"iter"
	"testing"
	"time"

	es "github.com/execution-store/execution-store/clients/go"
)

// soonAgain connects again without delay.
func soonAgain() es.MirrorOption {
	policy := es.DefaultWatchRetryPolicy()
	policy.InitialBackoff, policy.MaxBackoff = time.Millisecond, 5*time.Millisecond
	return es.WithWatchRetry(policy)
}

// errorsOf gives the errors that a watch ends with.
func errorsOf(watch *es.Watch) iter.Seq[error] {
	return func(yield func(error) bool) {
		for _, err := range watch.Events() {
			if err != nil && !yield(err) {
				return
			}
		}
	}
}

// reading reads a watch event by event.
type reading struct {
	t    *testing.T
	next func() (es.Event, error, bool)
}

func read(t *testing.T, watch *es.Watch) *reading {
	t.Helper()
	next, stop := iter.Pull2(watch.Events())
	t.Cleanup(func() {
		watch.Close()
		stop()
	})
	return &reading{t, next}
}

// event gives the next event.
func (r *reading) event() es.Event {
	r.t.Helper()
	event, err, more := r.next()
	if err != nil {
		r.t.Fatal(err)
	}
	if !more {
		r.t.Fatal("the watch has ended")
	}
	return event
}

// take describes the next events.
func (r *reading) take(count int) []string {
	r.t.Helper()
	told := make([]string, count)
	for index := range told {
		told[index] = describe(r.event())
	}
	return told
}

// changes describes the next events of keys, leaving the others out.
func (r *reading) changes(count int) []string {
	r.t.Helper()
	told := []string{}
	for len(told) < count {
		if event := r.event(); event.Key != "" {
			told = append(told, event.Type.String()+" "+event.Key)
		}
	}
	return told
}

func (r *reading) err() error {
	r.t.Helper()
	for {
		if _, err, more := r.next(); err != nil || !more {
			return err
		}
	}
}

func describe(event es.Event) string {
	text := event.Type.String()
	if event.Key != "" {
		text += " " + event.Key
	}
	if event.ResumeToken != "" {
		text += " @" + event.ResumeToken
	}
	if event.Type == es.EventReset {
		text += fmt.Sprintf(" (%s)", event.ResetCause)
	}
	return text
}
