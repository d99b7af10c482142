package executionstore

import (
	"context"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

const (
	// Of the intervals that the server names, how many may pass in silence.
	silentIntervals = 3
	// Silence that is always granted: the server keeps no time finer than tenths of a second.
	leastSilence = time.Second
)

// watchFeed brings the events of a watch into its buffer, over as many connections as it takes.
//
// Where it goes on is the token of the last message that it has put there itself, not the one that an error of the server
// may carry: messages before the error may have been lost on the way.
type watchFeed struct {
	connection *connection
	config     *watchConfig
	request    *pb.WatchKeysRequest
	buffer     *eventBuffer

	// token is where the next connection goes on; empty as long as it begins as the request says, or with a snapshot.
	token    string
	snapshot bool
	// snapshotBegun says whether events of a snapshot that is not complete were told.
	snapshotBegun bool
	everStarted   bool
	// startedAt is when the last connection has started.
	startedAt time.Time
	// failures are connections in a row that ended, all but the first of them without changes and without progress.
	failures int
}

// run runs until the context is done, or gives the *Error that ends the watch.
func (f *watchFeed) run(ctx context.Context) error {
	begun := time.Now()
	policy := f.config.retry
	for {
		e := f.connect(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.failures++
		if !f.mayGoOn(e) {
			return e
		}
		delay := policy.delay(f.failures, e, rand.Float64())
		tooLate := !f.everStarted && !time.Now().Add(delay).Before(saturatingAdd(begun, policy.WaitForServer))
		if f.failures >= policy.MaxAttempts || tooLate {
			e.ResumeToken = f.token
			return e
		}
		f.prepare(e)
		if f.config.onInterruption != nil {
			f.config.onInterruption(e, delay)
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// mayGoOn says whether another connection may bring what this one did not.
func (f *watchFeed) mayGoOn(e *Error) bool {
	if e.Code == codes.OutOfRange {
		return f.config.onHistoryLost == HistoryLostSnapshot
	}
	return e.Code == codes.Unavailable || e.Reason == reasonWatchTooSlow || e.Reason == reasonDatabaseBusy
}

// prepare says where the next connection begins, and that what was told is void where it is.
func (f *watchFeed) prepare(e *Error) {
	lost := e.Code == codes.OutOfRange
	if lost || f.snapshotBegun {
		cause := ResetSnapshotInterrupted
		if lost {
			cause = ResetHistoryLost
		}
		f.buffer.add(eventBatch{events: []Event{{Type: EventReset, ResetCause: cause, Err: e}}})
	}
	if lost {
		f.token, f.snapshot = "", true
	}
	f.snapshotBegun = false
}

var watchStream = &grpc.StreamDesc{StreamName: "WatchKeys", ServerStreams: true}

// connect opens one connection and follows it to its end.
func (f *watchFeed) connect(ctx context.Context) *Error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	facts := callFacts{method: watchKeys, address: f.connection.address, ctx: ctx}
	outgoing := ctx
	if f.connection.headers != nil {
		var err error
		if outgoing, err = f.connection.withHeaders(ctx); err != nil {
			return err.(*Error)
		}
	}
	var silent atomic.Bool
	limit := f.connection.timeout
	// It is set anew before each read, and counts during reads only: a slow consumer is no silence of the server.
	watchdog := time.AfterFunc(limit, func() {
		silent.Store(true)
		cancel()
	})
	defer watchdog.Stop()
	// Without an error, it has found a connection.
	stream, err := f.connection.channel.NewStream(outgoing, watchStream, watchKeys.path)
	sent := err == nil
	if sent {
		request := proto.Clone(f.request).(*pb.WatchKeysRequest)
		request.Snapshot, request.ResumeToken = f.snapshot, f.token
		if err = stream.SendMsg(request); err == nil {
			err = stream.CloseSend()
		}
		if err == io.EOF {
			// The stream has ended; reading says why.
			err = nil
		}
	}
	for err == nil {
		watchdog.Stop()
		if err = f.buffer.waitForRoom(ctx); err != nil {
			break
		}
		watchdog.Reset(limit)
		message := new(pb.WatchKeysResponse)
		if err = stream.RecvMsg(message); err != nil {
			break
		}
		if problem := f.take(message); problem != nil {
			return problem
		}
		if message.GetKind() == pb.WatchKeysResponse_KIND_STARTED {
			limit = max(leastSilence, silentIntervals*message.GetProgressInterval().AsDuration())
		}
	}
	if silent.Load() {
		return silentError(limit)
	}
	return streamEnd(err, sent, facts)
}

// take puts what a message tells into the buffer, and notes where it leads.
func (f *watchFeed) take(message *pb.WatchKeysResponse) *Error {
	kind := message.GetKind()
	early := f.snapshot && (kind == pb.WatchKeysResponse_KIND_STARTED || kind == pb.WatchKeysResponse_KIND_SNAPSHOT)
	token := message.GetResumeToken()
	if early {
		token = ""
	} else if token == "" {
		return brokenAnswer("to a watch lacks its token")
	}
	events, err := toEvents(message, token)
	if err != nil {
		return err.(*Error)
	}
	f.buffer.add(eventBatch{events, messageBytes(message)})
	if kind == pb.WatchKeysResponse_KIND_STARTED {
		f.everStarted, f.startedAt = true, time.Now()
	}
	if f.isFruit(kind, token) {
		f.failures = 0
	}
	if early {
		f.snapshotBegun = f.snapshotBegun || len(events) > 0 && kind == pb.WatchKeysResponse_KIND_SNAPSHOT
	} else {
		f.token, f.snapshot, f.snapshotBegun = token, false, false
	}
	return nil
}

// isFruit says whether a message shows that the connection was worth its while. A snapshot does not: where history is
// lost again and again, so would be one after the other. Progress with the token of before is told where nothing happens,
// but also where the server has to wait, so it does only on a connection that no backoff would have delayed for longer.
func (f *watchFeed) isFruit(kind pb.WatchKeysResponse_Kind, token string) bool {
	if kind != pb.WatchKeysResponse_KIND_PROGRESS {
		return kind == pb.WatchKeysResponse_KIND_EVENTS
	}
	return token != f.token || time.Since(f.startedAt) >= f.config.retry.MaxBackoff
}
