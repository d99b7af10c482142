package executionstore

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

// EventType says what an [Event] tells.
type EventType int

const (
	// EventStarted: from here on nothing is missed. The first event, and again after each interruption.
	EventStarted EventType = iota + 1
	// EventExisting: the key was there when the snapshot was read. In the order of lists.
	EventExisting
	// EventSnapshotComplete: that was all of the snapshot, also when it was empty; what follows are changes.
	EventSnapshotComplete
	// EventCreated: the key was set when no live document had it.
	EventCreated
	// EventUpdated: the key was set, or its ttl or policy changed, while it was live.
	EventUpdated
	// EventDeleted: the key was deleted before its expiry.
	EventDeleted
	// EventExpired: the key's time had come, whoever removed or replaced it. Exactly one per expiry.
	EventExpired
	// EventProgress: everything up to its token was told, also when nothing matched. Keep the token, lest it grow too old.
	EventProgress
	// EventReset: what was told so far is void; a new snapshot follows. See Event.ResetCause.
	EventReset
)

var eventTypeNames = [...]string{
	"invalid", "started", "existing", "snapshotComplete", "created", "updated", "deleted", "expired", "progress", "reset",
}

// String gives the type's name, such as "created".
func (t EventType) String() string {
	if t < 0 || int(t) >= len(eventTypeNames) {
		return fmt.Sprintf("EventType(%d)", int(t))
	}
	return eventTypeNames[t]
}

// ResetCause says why what was told is void.
type ResetCause string

const (
	// ResetSnapshotInterrupted: the connection was lost in the middle of a snapshot; what was told of it is void.
	ResetSnapshotInterrupted ResetCause = "snapshotInterrupted"
	// ResetHistoryLost: changes can no longer be told one by one, since the watch was away for longer than the store's
	// history lasts. Only with HistoryLostSnapshot.
	ResetHistoryLost ResetCause = "historyLost"
)

// Event is what a watch tells.
type Event struct {
	// Type says what is told, and which of the fields are set.
	Type EventType
	// StoreName, Key and DatasetID say which key an event is about; empty for events that are about none.
	StoreName, Key, DatasetID string
	// Document is the key as the change left it, or as the snapshot found it; nil for EventDeleted and EventExpired.
	Document *KeyDocument
	// Previous is the key just before the change, if WithPrevious asked for it and there was one.
	Previous *KeyDocument
	// PreviousValueOmitted says that Previous comes without its value, since that is too large (on MongoDB, over 7 MiB).
	PreviousValueOmitted bool
	// DocumentLookedUp says that Document was read after the change, and may be a later version (on MongoDB without images).
	DocumentLookedUp bool
	// CommitTime is the store's clock at the change; the zero time of EventExisting.
	CommitTime time.Time
	// ResumeToken is where a later watch goes on: right behind this event, with nothing left out and nothing told twice.
	// Several events may travel together; then only the last of them has it, so that a token that is kept never passes
	// over one.
	ResumeToken string
	// ProgressInterval, of EventStarted, is the time between two signs of life of the server, at most.
	ProgressInterval time.Duration
	// ResetCause, of EventReset, says why.
	ResetCause ResetCause
	// Err, of EventReset, is what ended the connection before.
	Err error
}

var wireEventTypes = map[EventType]pb.KeyEvent_Type{
	EventExisting: pb.KeyEvent_TYPE_EXISTING,
	EventCreated:  pb.KeyEvent_TYPE_CREATED,
	EventUpdated:  pb.KeyEvent_TYPE_UPDATED,
	EventDeleted:  pb.KeyEvent_TYPE_DELETED,
	EventExpired:  pb.KeyEvent_TYPE_EXPIRED,
}

// toEvents takes the events of a message over. Its token goes to the last of them.
func toEvents(message *pb.WatchKeysResponse, token string) ([]Event, error) {
	switch message.GetKind() {
	case pb.WatchKeysResponse_KIND_STARTED:
		interval := message.GetProgressInterval().AsDuration()
		return []Event{{Type: EventStarted, ProgressInterval: interval, ResumeToken: token}}, nil
	case pb.WatchKeysResponse_KIND_SNAPSHOT, pb.WatchKeysResponse_KIND_EVENTS:
		events := make([]Event, len(message.GetEvents()))
		for index, wire := range message.GetEvents() {
			if err := toEvent(&events[index], wire); err != nil {
				return nil, err
			}
		}
		if len(events) > 0 {
			events[len(events)-1].ResumeToken = token
		}
		return events, nil
	case pb.WatchKeysResponse_KIND_SNAPSHOT_COMPLETE:
		return []Event{{Type: EventSnapshotComplete, ResumeToken: token}}, nil
	case pb.WatchKeysResponse_KIND_PROGRESS:
		return []Event{{Type: EventProgress, ResumeToken: token}}, nil
	}
	return nil, brokenAnswer("to a watch is of a kind that this client does not know")
}

func toEvent(event *Event, wire *pb.KeyEvent) error {
	document := wire.GetDocument()
	if document == nil {
		return brokenAnswer("holds an event without its key")
	}
	switch wire.GetType() {
	case pb.KeyEvent_TYPE_EXISTING:
		event.Type = EventExisting
	case pb.KeyEvent_TYPE_CREATED:
		event.Type = EventCreated
	case pb.KeyEvent_TYPE_UPDATED:
		event.Type = EventUpdated
	case pb.KeyEvent_TYPE_DELETED:
		event.Type = EventDeleted
	case pb.KeyEvent_TYPE_EXPIRED:
		event.Type = EventExpired
	default:
		return brokenAnswer("holds an event of a type that this client does not know")
	}
	event.StoreName, event.Key, event.DatasetID = document.GetStoreName(), document.GetKey(), document.GetDatasetId()
	if event.Type != EventDeleted && event.Type != EventExpired {
		event.Document = toDocument(document)
	}
	if wire.GetPrevious() != nil {
		event.Previous = toDocument(wire.GetPrevious())
	}
	event.PreviousValueOmitted = wire.GetPreviousValueOmitted()
	event.DocumentLookedUp = wire.GetDocumentLookedUp()
	event.CommitTime = toTime(wire.GetCommitTime())
	return nil
}

// eventOverhead is about what an event takes beside its values.
const eventOverhead = 256

// messageBytes is about the size of a message, without the cost of measuring it exactly.
func messageBytes(message *pb.WatchKeysResponse) int {
	size := 0
	for _, event := range message.GetEvents() {
		size += eventOverhead
		for _, document := range [...]*pb.KeyDocument{event.GetDocument(), event.GetPrevious()} {
			size += len(document.GetKey()) + len(document.GetStoreName()) + len(document.GetValueBson())
			if value := document.GetValue(); value != nil {
				size += proto.Size(value)
			}
		}
	}
	return size
}
