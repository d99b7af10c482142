package executionstore

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
)

// Watch is a stream of the changes of keys: every change once, in the order of commits, for as long as it is read. It
// connects when it is first read, and again by itself whenever the connection is lost or silent, or its consumer was so
// slow that the server gave it up; nothing is lost or told twice by that. Lost history, and what no repetition mends, is
// an error, after the events before it.
//
// It can be read once. It ends, without an error, when the loop over Events ends, by Close, and when the client is
// closed; when its context is done, it ends with that error. A slow consumer holds the server back, which ends watches
// that stay far behind; they go on where they were as long as the store's history lasts.
type Watch struct {
	connection *connection
	context    contextConfig
	config     watchConfig
	ctx        context.Context
	// late says that the client was closed before.
	late bool

	closed atomic.Bool

	mu     sync.Mutex
	read   bool
	buffer *eventBuffer
	cancel context.CancelFunc
	token  string
}

// WatchKeys watches keys: tells every change from now on, or first what is there, or what came after a token; see
// [Watch]. Without options, of every store of the context. Nothing is checked or sent before it is read. The context
// ends the watch; its deadline counts, too. After Client.Close, the watch fails as [ErrClosed].
func (s *Service) WatchKeys(ctx context.Context, options ...WatchOption) *Watch {
	watch := &Watch{
		connection: s.connection, context: s.config, config: s.watchConfig(options), ctx: ctx,
		late: s.connection.closing.Err() != nil,
	}
	if watch.config.resumeToken != nil {
		watch.token = *watch.config.resumeToken
	}
	return watch
}

// ResumeToken is the token of the last event handed over that had one; at first, the one that the watch was opened with.
// Kept after the event was worked on, it lets a later watch, of another process, too, go on right behind it.
func (w *Watch) ResumeToken() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.token
}

// Close ends the watch: nothing is handed over any more, and a read under way ends. Only the first time counts.
func (w *Watch) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed.Store(true)
	if w.buffer != nil {
		w.buffer.end(nil, true)
		w.cancel()
	}
}

// Events iterates over what the watch tells. An error is the last thing that it gives. Ending the loop closes the watch.
func (w *Watch) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for events, err := range w.messages() {
			if err != nil {
				yield(Event{}, err)
				return
			}
			for index := range events {
				if !w.handOver(&events[index]) {
					// What the messages end with says how.
					break
				}
				if !yield(events[index], nil) {
					return
				}
			}
		}
	}
}

// messages iterates over the events of one message after the other.
func (w *Watch) messages() iter.Seq2[[]Event, error] {
	return func(yield func([]Event, error) bool) {
		buffer, err := w.open()
		if err != nil {
			yield(nil, err)
			return
		}
		defer w.Close()
		for {
			events, more, err := buffer.take()
			if !more {
				if err != nil {
					yield(nil, err)
				}
				return
			}
			if !yield(events, nil) {
				return
			}
		}
	}
}

// handOver notes the token of an event that the consumer gets; false if the watch was ended.
func (w *Watch) handOver(event *Event) bool {
	if w.closed.Load() || w.ctx.Err() != nil || w.connection.closing.Err() != nil {
		return false
	}
	if event.Type == EventReset || event.ResumeToken != "" {
		w.mu.Lock()
		w.token = event.ResumeToken
		w.mu.Unlock()
	}
	return true
}

// open begins to read the watch.
func (w *Watch) open() (*eventBuffer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.read {
		return nil, &Error{
			Code: codes.FailedPrecondition, Reason: ReasonClientClosed,
			Message: "a watch was read twice; open another one, with WithResumeToken to go on",
		}
	}
	w.read = true
	buffer := newEventBuffer(w.config.bufferEvents, w.config.bufferBytes)
	if w.closed.Load() {
		buffer.end(nil, true)
		return buffer, nil
	}
	if w.late {
		return nil, closedError(watchKeys)
	}
	request, err := w.config.request(w.context)
	if err != nil {
		return nil, err
	}
	ctx, cancel := w.connection.streamContext(w.ctx)
	w.buffer, w.cancel = buffer, cancel
	feed := &watchFeed{
		connection: w.connection,
		config:     &w.config,
		request:    request,
		buffer:     buffer,
		token:      request.GetResumeToken(),
		snapshot:   request.GetSnapshot(),
	}
	go func() {
		defer cancel()
		err := feed.run(ctx)
		// The end that the caller's context brings is told at once; that of the client is no error.
		switch {
		case w.ctx.Err() != nil:
			buffer.end(contextError(w.ctx), true)
		case ctx.Err() != nil:
			buffer.end(nil, true)
		default:
			buffer.end(err, false)
		}
	}()
	return buffer, nil
}

// contextError is for a caller whose context is done.
func contextError(ctx context.Context) *Error {
	e := cancelledError(callFacts{method: watchKeys, ctx: ctx}, true)
	if ctx.Err() == context.DeadlineExceeded {
		e.Code, e.Reason = codes.DeadlineExceeded, "DEADLINE_EXCEEDED"
		e.Message = "the time of the caller's context for WatchKeys is over"
	}
	return e
}
