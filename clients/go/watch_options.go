package executionstore

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

// WatchOption says which keys a watch is about, where it begins, and how it is kept: [WithKey], [WithPrefix],
// [WithSnapshot], [WithResumeToken], [WithEventTypes], [WithPrevious], [WithEncoding], [WithOnHistoryLost], and every
// [MirrorOption]; of a Service's watch also [WithStore] and [WithAllContexts].
type WatchOption interface{ applyWatch(*watchConfig) }

// MirrorOption is how the watch behind a mirror or a subscription is kept: [WithPrefix], [WithProgressInterval],
// [WithBuffer], [WithWatchRetry], [WithOnInterruption].
type MirrorOption interface {
	WatchOption
	SubscribeOption
	mirrorOption()
}

// SubscribeOption is every MirrorOption, and [WithOnError].
type SubscribeOption interface{ applySubscribe(*subscribeConfig) }

type subscribeConfig struct {
	options []MirrorOption
	onError func(error)
}

type subscribeOption func(*subscribeConfig)

func (o subscribeOption) applySubscribe(c *subscribeConfig) { o(c) }

// WithOnError hears of the error that ends a subscription, if the store cannot be watched. Without it, that is a warning
// of log/slog.
func WithOnError(heard func(err error)) SubscribeOption {
	return subscribeOption(func(c *subscribeConfig) { c.onError = heard })
}

type watchConfig struct {
	storeName        string
	hasStore         bool
	allContexts      bool
	key              *string
	keyPrefix        string
	snapshot         bool
	resumeToken      *string
	types            []EventType
	hasTypes         bool
	encoding         Encoding
	previous         bool
	progressInterval time.Duration
	hasInterval      bool
	bufferEvents     int
	bufferBytes      int
	onHistoryLost    HistoryLostAction
	retry            RetryPolicy
	onInterruption   func(err error, retryIn time.Duration)
}

type watchOption func(*watchConfig)

func (o watchOption) applyWatch(c *watchConfig) { o(c) }

type mirrorOption func(*watchConfig)

func (o mirrorOption) applyWatch(c *watchConfig)         { o(c) }
func (o mirrorOption) applySubscribe(c *subscribeConfig) { c.options = append(c.options, o) }
func (o mirrorOption) mirrorOption()                     {}

// followOptions are those of a watch that tells what is there, then every change, also over lost history.
func followOptions(options []MirrorOption) []WatchOption {
	all := []WatchOption{WithSnapshot(), WithOnHistoryLost(HistoryLostSnapshot)}
	for _, option := range options {
		all = append(all, option)
	}
	return all
}

// WithStore watches the keys of one store. Without it, those of every store of the context.
func WithStore(name string) WatchOption {
	return watchOption(func(c *watchConfig) { c.storeName, c.hasStore = name, true })
}

// WithAllContexts watches the keys of all datasets; for a service tied to no dataset.
func WithAllContexts() WatchOption {
	return watchOption(func(c *watchConfig) { c.allContexts = true })
}

// WithKey watches one key. It excludes WithPrefix.
func WithKey(key string) WatchOption {
	return watchOption(func(c *watchConfig) { c.key = &key })
}

// WithSnapshot first tells what is there now, as EventExisting up to EventSnapshotComplete, then changes.
func WithSnapshot() WatchOption {
	return watchOption(func(c *watchConfig) { c.snapshot = true })
}

// WithResumeToken goes on behind the event that had this token, of a watch of the same keys. It excludes WithSnapshot.
// An empty token is refused, lest what happened since be passed over in silence.
func WithResumeToken(token string) WatchOption {
	return watchOption(func(c *watchConfig) { c.resumeToken = &token })
}

// WithEventTypes tells only events of keys of these types: EventExisting, EventCreated, EventUpdated, EventDeleted,
// EventExpired. At least one.
func WithEventTypes(types ...EventType) WatchOption {
	return watchOption(func(c *watchConfig) { c.types, c.hasTypes = types, true })
}

// WithPrevious tells what the key held just before each change, too.
func WithPrevious() WatchOption {
	return watchOption(func(c *watchConfig) { c.previous = true })
}

// HistoryLostAction is what a watch does where the changes since the last event cannot be told any more.
type HistoryLostAction int

const (
	// HistoryLostFail ends the watch with [ErrHistoryLost].
	HistoryLostFail HistoryLostAction = iota
	// HistoryLostSnapshot tells it by an EventReset and goes on with a new snapshot, also if none was asked for at first.
	HistoryLostSnapshot
)

// WithOnHistoryLost says what to do; [HistoryLostFail] unless set.
func WithOnHistoryLost(action HistoryLostAction) WatchOption {
	return watchOption(func(c *watchConfig) { c.onHistoryLost = action })
}

// WithProgressInterval is the time between two signs of life where nothing matches: 10 s unless set. The server raises
// it to its minimum; EventStarted says the one in force. A connection that is silent for three times as long, and for a
// second, is given up for a new one.
func WithProgressInterval(interval time.Duration) MirrorOption {
	return mirrorOption(func(c *watchConfig) { c.progressInterval, c.hasInterval = interval, true })
}

// WithBuffer is how much waits for the consumer before no more is taken from the connection: 1,000 events or 4 MiB
// unless set. Both are at least 1, and may be exceeded by one message; what the connection's own window takes, up to
// 16 MiB, comes on top.
func WithBuffer(events, bytes int) MirrorOption {
	return mirrorOption(func(c *watchConfig) { c.bufferEvents, c.bufferBytes = events, bytes })
}

// WithWatchRetry says how a watch connects again; see [DefaultWatchRetryPolicy] and [NoRetry].
func WithWatchRetry(policy RetryPolicy) MirrorOption {
	return mirrorOption(func(c *watchConfig) { c.retry = policy })
}

// WithOnInterruption hears of each lost connection, and when the next is tried: for logs. It holds the watch up.
func WithOnInterruption(heard func(err error, retryIn time.Duration)) MirrorOption {
	return mirrorOption(func(c *watchConfig) { c.onInterruption = heard })
}

func (s *Service) watchConfig(options []WatchOption) watchConfig {
	config := watchConfig{
		encoding:     s.config.encoding,
		bufferEvents: 1000,
		bufferBytes:  4 << 20,
		retry:        DefaultWatchRetryPolicy(),
	}
	for _, option := range options {
		option.applyWatch(&config)
	}
	return config
}

// request checks what the server could not, and makes the request of the first connection.
func (c *watchConfig) request(context contextConfig) (*pb.WatchKeysRequest, error) {
	encoding, err := wireEncoding(c.encoding)
	if err != nil {
		return nil, err
	}
	request := &pb.WatchKeysRequest{
		DatasetId:       context.dataset,
		CollectionName:  context.collection,
		StoreName:       c.storeName,
		AllContexts:     c.allContexts,
		Key:             c.key,
		KeyPrefix:       c.keyPrefix,
		Snapshot:        c.snapshot,
		Encoding:        encoding,
		IncludePrevious: c.previous,
	}
	if problem := c.check(); problem != nil {
		return nil, problem
	}
	if c.resumeToken != nil {
		request.ResumeToken = *c.resumeToken
	}
	for _, eventType := range c.types {
		request.EventTypes = append(request.EventTypes, wireEventTypes[eventType])
	}
	if c.hasInterval {
		request.ProgressInterval = durationpb.New(c.progressInterval)
	}
	return request, nil
}

func (c *watchConfig) check() *Error {
	if c.hasStore && c.storeName == "" {
		return invalidField("STORE_NAME_INVALID", "store_name", "is empty; expected a name")
	}
	if c.resumeToken != nil && *c.resumeToken == "" {
		return invalidField("RESUME_TOKEN_INVALID", "resume_token",
			"is empty; give the token of an event, or leave it out to watch from now on")
	}
	if c.hasTypes && len(c.types) == 0 {
		return invalidField("EVENT_TYPE_INVALID", "event_types", "is empty; leave it out for all types")
	}
	for index, eventType := range c.types {
		if wireEventTypes[eventType] == pb.KeyEvent_TYPE_UNSPECIFIED {
			return invalidField("EVENT_TYPE_INVALID", fmt.Sprintf("event_types[%d]", index),
				"is no type of an event of a key; expected EventExisting, EventCreated, EventUpdated, EventDeleted or EventExpired")
		}
	}
	if c.hasInterval && c.progressInterval <= 0 {
		return invalidField("PROGRESS_INTERVAL_INVALID", "progress_interval", "is not greater than 0; give more, or leave it out")
	}
	if c.bufferEvents < 1 || c.bufferBytes < 1 {
		return invalidField(ReasonClientOptionInvalid, "WithBuffer", "has a limit of less than 1; expected how much may wait for the consumer")
	}
	if c.onHistoryLost != HistoryLostFail && c.onHistoryLost != HistoryLostSnapshot {
		return invalidField(ReasonClientOptionInvalid, "WithOnHistoryLost",
			"is neither HistoryLostFail nor HistoryLostSnapshot; expected one of these two")
	}
	return c.retry.check()
}
