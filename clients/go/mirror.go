package executionstore

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
)

// Mirror is a read-only map of a store, or of its keys with one prefix, that a watch keeps current: reads cost no call.
// All of it is in memory. From Ready on it is at every moment what the store was at one moment, a little ago: what it
// held at the last event while the connection is lost, and the present again soon after. Any number of goroutines may
// read it.
//
// Where the store's history does not reach back to the last event, a new snapshot takes the place of all that was there,
// at once, and what it changes is told; what happened to one key in between is then one change, and one that is gone is
// EventDeleted.
//
// A key that expires leaves the map with its EventExpired, within a second. Reads do not compare ExpiresAt with this
// machine's clock, which may not be the store's; who needs the very millisecond can, by Document.
//
// Once the watch has failed for good (see [Watch]), Get, Document and Has fail, for the map would be old without a word.
type Mirror[T any] struct {
	watch *Watch
	// filled and ended are closed when that has happened.
	filled, ended chan struct{}

	mu       sync.RWMutex
	entries  map[string]mirrorEntry[T]
	isFilled bool
	failed   error

	listenersMu sync.Mutex
	listeners   []*func(Change[T])

	// incoming is the snapshot that is coming in; of the following goroutine alone.
	incoming map[string]mirrorEntry[T]
}

type mirrorEntry[T any] struct {
	document *KeyDocument
	value    T
	err      error
}

// Change is what happened to a key of a mirror, told when the mirror has it.
type Change[T any] struct {
	// Type is EventCreated, EventUpdated, EventDeleted or EventExpired.
	Type EventType
	Key  string
	// Value is the new one; the zero value for EventDeleted and EventExpired, and where Err is set.
	Value T
	// Err says that the new value does not fit into a T.
	Err error
	// Document is the new one; nil for EventDeleted and EventExpired.
	Document *KeyDocument
	// Previous is what the mirror held before; nil if it did not have the key.
	Previous *KeyDocument
}

// NewMirror opens a mirror of a store whose values are decoded as Ts, once for each change. Close it after use; the
// context ends it, too, and its reads fail then.
func NewMirror[T any](ctx context.Context, store *Store, options ...MirrorOption) *Mirror[T] {
	m := &Mirror[T]{
		watch:    store.Watch(ctx, followOptions(options)...),
		filled:   make(chan struct{}),
		ended:    make(chan struct{}),
		entries:  map[string]mirrorEntry[T]{},
		incoming: map[string]mirrorEntry[T]{},
	}
	go m.follow()
	return m
}

// Mirror is NewMirror for values of any type.
func (s *Store) Mirror(ctx context.Context, options ...MirrorOption) *Mirror[any] {
	return NewMirror[any](ctx, s, options...)
}

// Ready waits until the map is filled, the context is done, or the mirror has ended; then it fails with its error or,
// closed, as [ErrClosed].
func (m *Mirror[T]) Ready(ctx context.Context) error {
	select {
	case <-m.filled:
	case <-ctx.Done():
	case <-m.ended:
	}
	if m.isReady() {
		return nil
	}
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	if err := m.Err(); err != nil {
		return err
	}
	return &Error{
		Code: codes.FailedPrecondition, Reason: ReasonClientClosed,
		Message: "the mirror was closed before it was filled; open another one",
	}
}

func (m *Mirror[T]) isReady() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.isFilled
}

// Get gives the value of a key. It fails as [ErrKeyNotFound] if it is not there, as [ErrInvalidArgument] if it does not
// fit into a T, and with the error that ended the mirror. The value is shared by all who read it: do not change what it
// points to.
func (m *Mirror[T]) Get(key string) (T, error) {
	entry, err := m.entry(key)
	if err == nil {
		err = entry.err
	}
	return entry.value, err
}

// Document gives a key with its policy, times and etag, and fails as Get does, but not for the value's type.
func (m *Mirror[T]) Document(key string) (*KeyDocument, error) {
	entry, err := m.entry(key)
	return entry.document, err
}

// Has says whether a key is there. It fails with the error that ended the mirror.
func (m *Mirror[T]) Has(key string) (bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, there := m.entries[key]
	return there, m.failed
}

func (m *Mirror[T]) entry(key string) (mirrorEntry[T], error) {
	m.mu.RLock()
	entry, there := m.entries[key]
	failed := m.failed
	m.mu.RUnlock()
	if failed != nil {
		return mirrorEntry[T]{}, failed
	}
	if !there {
		return mirrorEntry[T]{}, errNotMirrored
	}
	return entry, nil
}

var errNotMirrored = &Error{
	Code: codes.NotFound, Reason: ReasonKeyNotFound, Message: "the key is not in the mirrored store",
}

// Len is how many keys are there. See Err.
func (m *Mirror[T]) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.entries)
}

// All iterates over keys and values, in no particular order, as they are when it begins. Keys whose values do not fit
// into a T are left out; Get says why. After the mirror has failed, these are the last that it had: see Err.
func (m *Mirror[T]) All() iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		m.mu.RLock()
		entries := maps.Clone(m.entries)
		m.mu.RUnlock()
		for key, entry := range entries {
			if entry.err == nil && !yield(key, entry.value) {
				return
			}
		}
	}
}

// Err is the error that ended the mirror; nil while it is kept, and if it was closed.
func (m *Mirror[T]) Err() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.failed
}

// Done is closed when the mirror has ended.
func (m *Mirror[T]) Done() <-chan struct{} { return m.ended }

// OnChange calls back after each change from now on, in order, from one goroutine; the first filling is none. The mirror
// waits for the callback, and may be ahead of what it is told: it has all changes of one message at once. The function
// that it gives takes the listener away.
func (m *Mirror[T]) OnChange(listener func(Change[T])) (remove func()) {
	own := &listener
	m.listenersMu.Lock()
	defer m.listenersMu.Unlock()
	m.listeners = append(slices.Clone(m.listeners), own)
	return func() {
		m.listenersMu.Lock()
		defer m.listenersMu.Unlock()
		m.listeners = slices.DeleteFunc(slices.Clone(m.listeners), func(other *func(Change[T])) bool { return other == own })
	}
}

// Close ends the watch: the map stays as it is. Only the first time counts. Callbacks may call it.
func (m *Mirror[T]) Close() { m.watch.Close() }

func (m *Mirror[T]) follow() {
	defer close(m.ended)
	for events, err := range m.watch.messages() {
		if err != nil {
			m.mu.Lock()
			m.failed = err
			m.mu.Unlock()
			return
		}
		m.tell(m.apply(events))
	}
}

// apply takes the events of one message over, at once: an expired key that a write replaces is never missing.
func (m *Mirror[T]) apply(events []Event) []Change[T] {
	decoded := make([]mirrorEntry[T], len(events))
	for index := range events {
		decoded[index] = decodeEntry[T](events[index].Document)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var changes []Change[T]
	for index := range events {
		event := &events[index]
		switch event.Type {
		case EventReset:
			m.incoming = map[string]mirrorEntry[T]{}
		case EventExisting:
			m.incoming[event.Key] = decoded[index]
		case EventSnapshotComplete:
			changes = append(changes, m.replace()...)
		case EventCreated, EventUpdated:
			before := m.entries[event.Key]
			m.entries[event.Key] = decoded[index]
			changes = append(changes, change(event.Type, event.Key, decoded[index], before))
		case EventDeleted, EventExpired:
			before, there := m.entries[event.Key]
			// A key that had expired when the snapshot was read was never here.
			if there {
				delete(m.entries, event.Key)
				changes = append(changes, change(event.Type, event.Key, mirrorEntry[T]{}, before))
			}
		}
	}
	return changes
}

func decodeEntry[T any](document *KeyDocument) mirrorEntry[T] {
	entry := mirrorEntry[T]{document: document}
	if document != nil {
		entry.value, entry.err = decodeAs[T](document.bson, document.json, document.Key)
	}
	return entry
}

func change[T any](kind EventType, key string, after, before mirrorEntry[T]) Change[T] {
	return Change[T]{
		Type: kind, Key: key, Value: after.value, Err: after.err, Document: after.document, Previous: before.document,
	}
}

// replace puts the snapshot that came in into the place of what was there, and answers what that changes.
func (m *Mirror[T]) replace() []Change[T] {
	before, after := m.entries, m.incoming
	m.entries, m.incoming = after, map[string]mirrorEntry[T]{}
	if !m.isFilled {
		m.isFilled = true
		close(m.filled)
		return nil
	}
	var changes []Change[T]
	for key, entry := range before {
		if _, there := after[key]; !there {
			changes = append(changes, change(EventDeleted, key, mirrorEntry[T]{}, entry))
		}
	}
	for key, entry := range after {
		previous, there := before[key]
		switch {
		case !there:
			changes = append(changes, change(EventCreated, key, entry, previous))
		case !isSameVersion(previous.document, entry.document):
			changes = append(changes, change(EventUpdated, key, entry, previous))
		}
	}
	return changes
}

// isSameVersion says whether nothing changed; of writers other than the service the etag alone does not say it.
func isSameVersion(a, b *KeyDocument) bool {
	return a.Etag == b.Etag && a.UpdatedAt.Equal(b.UpdatedAt)
}

func (m *Mirror[T]) tell(changes []Change[T]) {
	for _, change := range changes {
		m.listenersMu.Lock()
		listeners := m.listeners
		m.listenersMu.Unlock()
		for _, listener := range listeners {
			(*listener)(change)
		}
	}
}
