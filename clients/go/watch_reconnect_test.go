package executionstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	es "github.com/execution-store/execution-store/clients/go"
	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

const (
	wireCreated  = pb.KeyEvent_TYPE_CREATED
	wireUpdated  = pb.KeyEvent_TYPE_UPDATED
	wireDeleted  = pb.KeyEvent_TYPE_DELETED
	wireExisting = pb.KeyEvent_TYPE_EXISTING
	wireExpired  = pb.KeyEvent_TYPE_EXPIRED
)

// played is a watch whose server the test is; it reads in the background, as the server is played from the front.
type played struct {
	server *scriptedServer
	watch  *es.Watch
	told   chan string
	end    chan error
}

func play(t *testing.T, options ...es.WatchOption) *played {
	t.Helper()
	server := startScripted(t, nil)
	client := open(t, server.address)
	p := &played{server: server, told: make(chan string, 1000), end: make(chan error, 1)}
	p.watch = client.Store("s").Watch(testContext(t), append([]es.WatchOption{soonAgain()}, options...)...)
	t.Cleanup(p.watch.Close)
	go func() {
		for event, err := range p.watch.Events() {
			if err != nil {
				p.end <- err
				return
			}
			p.told <- describe(event)
		}
		p.end <- nil
	}()
	return p
}

func (p *played) hears(t *testing.T, want ...string) {
	t.Helper()
	for _, expected := range want {
		select {
		case got := <-p.told:
			equal(t, got, expected)
		case <-time.After(20 * time.Second):
			t.Fatalf("waited in vain for %q", expected)
		}
	}
}

func (p *played) ends(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.end:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the watch did not end")
		return nil
	}
}

func TestAWatchGoesOnWhereItWas(t *testing.T) {
	for _, end := range []error{
		unavailable("", 0),
		status.Error(codes.Unavailable, "proxy"),
		status.Error(codes.Canceled, "proxy"),
		status.Error(codes.Internal, "reset"),
		status.Error(codes.DeadlineExceeded, "proxy"),
		status.Error(codes.ResourceExhausted, "too many streams"),
		ourError(codes.ResourceExhausted, "WATCH_TOO_SLOW", map[string]string{"resume_token": "t9"}),
		ourError(codes.ResourceExhausted, "DATABASE_BUSY", nil),
	} {
		p := play(t)
		first := p.server.next(t)
		equal(t, first.request.GetResumeToken(), "")
		first.send(t, startedMessage("t1", time.Minute),
			eventsMessage("t2", keyEvent(wireCreated, "a", "1"), keyEvent(wireUpdated, "a", "2")))
		p.hears(t, "started @t1", "created a", "updated a @t2")
		first.end <- end
		second := p.server.next(t)
		equal(t, second.request.GetResumeToken(), "t2")
		second.send(t, startedMessage("t2", time.Minute), progressMessage("t3"))
		p.hears(t, "started @t2", "progress @t3")
		equal(t, p.watch.ResumeToken(), "t3")
	}
}

func TestWhatEndsAWatch(t *testing.T) {
	for reason, end := range map[es.Reason]error{
		"REPLICA_SET_REQUIRED": ourError(codes.FailedPrecondition, "REPLICA_SET_REQUIRED", nil),
		"INTERNAL":             ourError(codes.Internal, "INTERNAL", map[string]string{"error_id": "x"}),
		"UNIMPLEMENTED":        status.Error(codes.Unimplemented, "x"),
		"HISTORY_LOST":         ourError(codes.OutOfRange, "HISTORY_LOST", nil),
		"RESOURCE_EXHAUSTED":   status.Error(codes.ResourceExhausted, "grpc: received message larger than max (5 vs. 4)"),
	} {
		p := play(t)
		first := p.server.next(t)
		first.send(t, startedMessage("t1", time.Minute))
		first.end <- end
		p.hears(t, "started @t1")
		var e *es.Error
		if err := p.ends(t); !errors.As(err, &e) || e.Reason != reason {
			t.Fatalf("got %v, want %s", err, reason)
		}
	}
}

// refusedStream is a stream that its server has ended before it took the request.
type refusedStream struct{ grpc.ClientStream }

func (refusedStream) SendMsg(any) error { return io.EOF }
func (refusedStream) RecvMsg(any) error { return status.Error(codes.PermissionDenied, "refused") }

func TestAWatchThatIsRefusedUnread(t *testing.T) {
	refuse := func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, grpc.Streamer, ...grpc.CallOption) (grpc.ClientStream, error) {
		return refusedStream{}, nil
	}
	client := open(t, shared.lmdb.address, es.WithDialOptions(grpc.WithStreamInterceptor(refuse)))
	fails(t, read(t, client.Store("s").Watch(testContext(t))).err(), codes.PermissionDenied, "PERMISSION_DENIED")
}

func TestSilence(t *testing.T) {
	interruptions := make(chan error, 10)
	p := play(t, es.WithOnInterruption(func(err error, _ time.Duration) { interruptions <- err }))
	silent := p.server.next(t)
	silent.send(t, startedMessage("t1", 400*time.Millisecond))
	began := time.Now()
	second := p.server.next(t)
	if since := time.Since(began); since < 1150*time.Millisecond {
		t.Fatalf("gave up after %s already", since)
	}
	<-silent.done
	equal(t, second.request.GetResumeToken(), "t1")
	err := <-interruptions
	contains(t, err.Error(), "1.2s")
	if !errors.Is(err, es.ErrUnavailable) {
		t.Fatal(err)
	}
	// A second of silence is granted, however short the interval.
	second.send(t, startedMessage("t1", time.Millisecond))
	began = time.Now()
	p.server.next(t)
	if since := time.Since(began); since < 900*time.Millisecond {
		t.Fatalf("gave up after %s already", since)
	}
}

func TestAWatchThatNeverStarts(t *testing.T) {
	server := startScripted(t, nil)
	client := open(t, server.address, es.WithTimeout(200*time.Millisecond))
	watch := client.Store("s").Watch(testContext(t), soonAgain())
	reader := read(t, watch)
	told := make(chan string, 1)
	go func() { told <- describe(reader.event()) }()
	server.next(t)
	for {
		select {
		case second := <-server.watches:
			// On a busy machine this, too, may come too late, and another try follows.
			_ = second.stream.Send(startedMessage("t1", time.Minute))
		case event := <-told:
			equal(t, event, "started @t1")
			return
		}
	}
}

func TestInterruptedSnapshots(t *testing.T) {
	p := play(t, es.WithSnapshot())
	first := p.server.next(t)
	equal(t, first.request.GetSnapshot(), true)
	first.end <- unavailable("", 0)
	second := p.server.next(t)
	second.send(t, startedMessage("", time.Minute), snapshotMessage(keyEvent(wireExisting, "a", "1")))
	p.hears(t, "started", "existing a")
	second.end <- unavailable("", 0)
	third := p.server.next(t)
	equal(t, third.request.GetSnapshot(), true)
	equal(t, third.request.GetResumeToken(), "")
	third.send(t, startedMessage("", time.Minute), completeMessage("t1"))
	p.hears(t, "reset (snapshotInterrupted)", "started", "snapshotComplete @t1")
	third.end <- unavailable("", 0)
	fourth := p.server.next(t)
	equal(t, fourth.request.GetSnapshot(), false)
	equal(t, fourth.request.GetResumeToken(), "t1")
}

func TestSnapshotsInPlaceOfLostHistory(t *testing.T) {
	p := play(t, es.WithOnHistoryLost(es.HistoryLostSnapshot), es.WithResumeToken("t0"))
	first := p.server.next(t)
	equal(t, first.request.GetResumeToken(), "t0")
	first.end <- ourError(codes.OutOfRange, "HISTORY_LOST", nil)
	second := p.server.next(t)
	equal(t, second.request.GetSnapshot(), true)
	equal(t, second.request.GetResumeToken(), "")
	second.send(t, startedMessage("", time.Minute), snapshotMessage(keyEvent(wireExisting, "a", "1")), completeMessage("t5"))
	p.hears(t, "reset (historyLost)", "started", "existing a", "snapshotComplete @t5")
}

func TestHowOftenAWatchConnects(t *testing.T) {
	policy := es.DefaultWatchRetryPolicy()
	policy.MaxAttempts, policy.InitialBackoff, policy.MaxBackoff = 3, time.Millisecond, time.Hour
	p := play(t, es.WithWatchRetry(policy))
	first := p.server.next(t)
	first.send(t, startedMessage("t1", time.Minute), eventsMessage("t2", keyEvent(wireCreated, "a", "1")))
	p.hears(t, "started @t1", "created a @t2")
	first.end <- unavailable("", 0)
	// Connections that bring nothing new count, those that do begin anew.
	second := p.server.next(t)
	second.send(t, startedMessage("t2", time.Minute), progressMessage("t2"))
	second.end <- unavailable("", 0)
	third := p.server.next(t)
	third.send(t, startedMessage("t2", time.Minute), progressMessage("t3"))
	p.hears(t, "started @t2", "progress @t2", "started @t2", "progress @t3")
	third.end <- unavailable("", 0)
	for range 2 {
		p.server.next(t).end <- unavailable("", 0)
	}
	e := fails(t, p.ends(t), codes.Unavailable, "DATABASE_UNREACHABLE")
	equal(t, e.ResumeToken, "t3")

	never := play(t, es.WithWatchRetry(es.NoRetry()))
	never.server.next(t).end <- unavailable("", 0)
	fails(t, never.ends(t), codes.Unavailable, "DATABASE_UNREACHABLE")
}

func TestAWatchWaitsForItsServerOnce(t *testing.T) {
	policy := es.DefaultWatchRetryPolicy()
	policy.InitialBackoff, policy.MaxBackoff, policy.WaitForServer = time.Millisecond, time.Millisecond, 0
	p := play(t, es.WithWatchRetry(policy))
	p.server.next(t).end <- unavailable("", 0)
	fails(t, p.ends(t), codes.Unavailable, "DATABASE_UNREACHABLE")
	started := play(t, es.WithWatchRetry(policy))
	first := started.server.next(t)
	first.send(t, startedMessage("t1", time.Minute))
	started.hears(t, "started @t1")
	first.end <- unavailable("", 0)
	started.server.next(t)
}

func TestMessagesThatBreakTheContract(t *testing.T) {
	for _, broken := range []*pb.WatchKeysResponse{
		progressMessage(""),
		{},
		eventsMessage("t2", &pb.KeyEvent{Type: wireCreated}),
		eventsMessage("t2", keyEvent(pb.KeyEvent_TYPE_UNSPECIFIED, "a", "1")),
	} {
		p := play(t)
		p.server.next(t).send(t, startedMessage("t1", time.Minute), broken)
		fails(t, p.ends(t), codes.Internal, "INTERNAL")
	}
}

func TestASlowConsumerHoldsTheServerBack(t *testing.T) {
	server := startScripted(t, nil)
	watch := open(t, server.address).Store("s").Watch(testContext(t), soonAgain(), es.WithBuffer(1000, 1<<20))
	reader := read(t, watch)
	began := make(chan *scriptedWatch, 1)
	go func() { began <- server.next(t) }()
	told := make(chan string, 1)
	go func() { told <- describe(reader.event()) }()
	scripted := <-began
	scripted.send(t, startedMessage("t1", 50*time.Millisecond))
	equal(t, <-told, "started @t1")

	const messages, size = 100, 1 << 20
	sent := make(chan int, messages)
	go func() {
		for number := range messages {
			event := keyEvent(wireUpdated, "k", fmt.Sprint(number))
			event.Document.ValueBson = make([]byte, size)
			if scripted.stream.Send(eventsMessage(fmt.Sprintf("m%03d", number), event)) != nil {
				return
			}
			sent <- number
		}
	}()
	// For longer than the silence that is granted: holding the server back is none.
	deadline := time.After(2500 * time.Millisecond)
	waiting := 0
	for wait := true; wait; {
		select {
		case <-sent:
			waiting++
		case <-deadline:
			wait = false
		}
	}
	// What waits: two messages in the buffer, one on its way into it, and the windows of the connection.
	if waiting > 40 {
		t.Fatalf("%d messages of 1 MiB were taken although nobody reads", waiting)
	}
	for number := range messages {
		contains(t, describe(reader.event()), fmt.Sprintf("m%03d", number))
	}
	if len(server.watches) > 0 {
		t.Fatal("the watch connected again")
	}
}

func TestEventsOfOneMessageShareItsToken(t *testing.T) {
	p := play(t)
	p.server.next(t).send(t, startedMessage("t1", time.Minute), eventsMessage("t2", keyEvent(wireExpired, "a", ""), keyEvent(wireCreated, "a", "2"), keyEvent(wireDeleted, "b", "")), eventsMessage("t3"))
	p.hears(t, "started @t1", "expired a", "created a", "deleted b @t2")
	equal(t, p.watch.ResumeToken(), "t2")
}

func TestEndingTheLoopEndsTheCall(t *testing.T) {
	server := startScripted(t, nil)
	store := open(t, server.address).Store("s")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range store.Watch(testContext(t)).Events() {
			break
		}
	}()
	scripted := server.next(t)
	scripted.send(t, startedMessage("t1", time.Minute))
	<-ended
	select {
	case <-scripted.done:
	case <-time.After(20 * time.Second):
		t.Fatal("the server was not told")
	}
}
