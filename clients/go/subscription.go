package executionstore

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"
)

// Operation is what happened to a key, in the words of FiftyOne.
type Operation string

const (
	// OperationInitial: the key was there when the subscription began.
	OperationInitial Operation = "initial"
	// OperationInsert: the key was set when it was not there.
	OperationInsert Operation = "insert"
	// OperationUpdate: the key was set, or its ttl or policy changed, while it was there.
	OperationUpdate Operation = "update"
	// OperationDelete: the key was deleted.
	OperationDelete Operation = "delete"
	// OperationExpire: the key's time had come.
	OperationExpire Operation = "expire"
)

// Message is what a subscriber is told.
type Message struct {
	Key       string
	Operation Operation
	// Document is the key with its value; nil for OperationDelete and OperationExpire.
	Document *KeyDocument
	// DatasetID has 24 lower-case hex digits; empty for a store tied to no dataset.
	DatasetID string
	// Timestamp is the store's clock at the change, of OperationInitial at the last one; the zero time where nobody knows.
	Timestamp time.Time
}

// Subscribe calls back with the current state, a message for each key, then with every change, once and in order, until
// Unsubscribe, the end of the context, or Client.Close. The callback is called from one goroutine of the subscription;
// it holds up only its own next message. Where changes cannot be told one by one any more (see [Watch]), those that are
// left are told as one per key. It gives an id for Unsubscribe.
func (s *Store) Subscribe(ctx context.Context, callback func(Message), options ...SubscribeOption) string {
	var config subscribeConfig
	for _, option := range options {
		option.applySubscribe(&config)
	}
	id := rand.Text()
	subscribed := &subscription{
		watch:     s.Watch(ctx, followOptions(config.options)...),
		datasetID: s.service.config.dataset,
		callback:  callback,
		known:     map[string]keyVersion{},
		found:     map[string]struct{}{},
	}
	client := s.service.client
	client.mu.Lock()
	client.subscriptions[id] = subscribed
	client.mu.Unlock()
	go func() {
		err := subscribed.run()
		client.forget(id)
		if err == nil || ctx.Err() != nil {
			return
		}
		if config.onError != nil {
			config.onError(err)
		} else {
			slog.Warn("execution store: a subscription ended", "store", s.name, "error", err)
		}
	}()
	return id
}

// Unsubscribe ends a subscription of this client: its callback is not called again, though a call under way may go on.
// It answers whether there was one.
func (s *Store) Unsubscribe(id string) bool {
	ended := s.service.client.forget(id)
	if ended == nil {
		return false
	}
	ended.close()
	return true
}

// forget takes a subscription off the list; nil if it was not on it.
func (c *Client) forget(id string) *subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.subscriptions[id]
	delete(c.subscriptions, id)
	return known
}

// keyVersion is a version of a key; of writers other than the service the etag alone does not say it.
type keyVersion struct {
	etag      string
	updatedAt time.Time
}

// subscription tells one callback what a watch brings.
type subscription struct {
	watch     *Watch
	datasetID string
	callback  func(Message)
	// known is the version of each key that the callback knows: what a new snapshot is compared with.
	known map[string]keyVersion
	// found are the keys of the snapshot that is coming in.
	found map[string]struct{}
	begun bool

	mu     sync.Mutex
	closed bool
}

func (s *subscription) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.watch.Close()
}

func (s *subscription) run() error {
	for event, err := range s.watch.Events() {
		if err != nil {
			return err
		}
		s.tellOf(&event)
	}
	return nil
}

func (s *subscription) tellOf(event *Event) {
	switch event.Type {
	case EventReset:
		clear(s.found)
	case EventExisting:
		s.tellOfExisting(event)
	case EventSnapshotComplete:
		s.tellOfMissing()
	case EventCreated, EventUpdated:
		s.known[event.Key] = versionOf(event.Document)
		operation := OperationInsert
		if event.Type == EventUpdated {
			operation = OperationUpdate
		}
		s.tell(Message{event.Key, operation, event.Document, event.DatasetID, event.CommitTime})
	case EventDeleted, EventExpired:
		// A key that had expired when the snapshot was read is not known.
		if _, known := s.known[event.Key]; !known {
			return
		}
		delete(s.known, event.Key)
		operation := OperationDelete
		if event.Type == EventExpired {
			operation = OperationExpire
		}
		s.tell(Message{event.Key, operation, nil, event.DatasetID, event.CommitTime})
	}
}

func (s *subscription) tellOfExisting(event *Event) {
	version := versionOf(event.Document)
	before, known := s.known[event.Key]
	s.found[event.Key] = struct{}{}
	if known && before == version {
		return
	}
	s.known[event.Key] = version
	operation := OperationInitial
	switch {
	case known:
		operation = OperationUpdate
	case s.begun:
		operation = OperationInsert
	}
	s.tell(Message{event.Key, operation, event.Document, event.DatasetID, event.Document.UpdatedAt})
}

func (s *subscription) tellOfMissing() {
	s.begun = true
	for key := range s.known {
		if _, there := s.found[key]; !there {
			delete(s.known, key)
			s.tell(Message{Key: key, Operation: OperationDelete, DatasetID: s.datasetID})
		}
	}
	clear(s.found)
}

func (s *subscription) tell(message Message) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if !closed {
		s.callback(message)
	}
}

func versionOf(document *KeyDocument) keyVersion {
	return keyVersion{document.Etag, document.UpdatedAt}
}
