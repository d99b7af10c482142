package executionstore

import (
	"context"
	"sync"
)

// eventBuffer is between a connection that brings messages and a consumer that takes them, of which neither sets the
// pace. One goroutine adds, one takes.
type eventBuffer struct {
	maxEvents, maxBytes int

	mu      sync.Mutex
	batches []eventBatch
	// What waits, and what was taken last: it is dealt with only when the next is asked for.
	events, bytes int
	taken         eventBatch
	ended         bool
	err           error
	// Each holds at most one token, which says that something has changed.
	news, room chan struct{}
}

// eventBatch is the events of one message.
type eventBatch struct {
	events []Event
	bytes  int
}

func newEventBuffer(maxEvents, maxBytes int) *eventBuffer {
	return &eventBuffer{
		maxEvents: maxEvents, maxBytes: maxBytes, news: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
}

// add adds a message, also if the buffer is full. A message without events takes no room.
func (b *eventBuffer) add(batch eventBatch) {
	if len(batch.events) == 0 {
		return
	}
	b.mu.Lock()
	if !b.ended {
		b.batches = append(b.batches, batch)
		b.events += len(batch.events)
		b.bytes += batch.bytes
	}
	b.mu.Unlock()
	signal(b.news)
}

// waitForRoom waits until the buffer is not full; it fails when the context is done.
func (b *eventBuffer) waitForRoom(ctx context.Context) error {
	for {
		b.mu.Lock()
		full := !b.ended && (b.events >= b.maxEvents || b.bytes >= b.maxBytes)
		b.mu.Unlock()
		if !full {
			return ctx.Err()
		}
		select {
		case <-b.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take gives the next message, when there is one; false at the end, with its error, if it has one.
func (b *eventBuffer) take() ([]Event, bool, error) {
	b.mu.Lock()
	b.events -= len(b.taken.events)
	b.bytes -= b.taken.bytes
	b.taken = eventBatch{}
	b.mu.Unlock()
	signal(b.room)
	for {
		b.mu.Lock()
		if len(b.batches) > 0 {
			b.taken = b.batches[0]
			b.batches[0] = eventBatch{}
			b.batches = b.batches[1:]
			events := b.taken.events
			b.mu.Unlock()
			return events, true, nil
		}
		if b.ended {
			err := b.err
			b.mu.Unlock()
			return nil, false, err
		}
		b.mu.Unlock()
		<-b.news
	}
}

// end adds no more: what is there may still be taken, then comes the end. With drop, what is there is dropped. Only the
// first end counts.
func (b *eventBuffer) end(err error, drop bool) {
	b.mu.Lock()
	if !b.ended {
		b.ended, b.err = true, err
	}
	if drop {
		b.batches, b.events, b.bytes, b.taken = nil, 0, 0, eventBatch{}
	}
	b.mu.Unlock()
	signal(b.news)
	signal(b.room)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
