package executionstore

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
)

const (
	maxRequestBytes = 16 << 20
	maxValueBytes   = 15 << 20
	maxBatchKeys    = 1000
	maxKeyBytes     = 1024
	// A little more than what passes, so that it is the service that refuses, in its words.
	maxSendBytes    = 17 << 20
	maxReceiveBytes = 33 << 20
	// Longer times count as no limit: some servers take one of more than 24.8 days, which overflows their timers, for one
	// that has passed.
	maxTimeout = 1e9 * time.Millisecond
)

// connection calls methods on one server: with deadlines, repetitions where they are safe, and *Errors.
type connection struct {
	address string
	channel *grpc.ClientConn
	timeout time.Duration
	retry   RetryPolicy
	headers HeaderFunc

	mu     sync.Mutex
	closed bool
	calls  int
	idle   chan struct{}
	// closing ends what does not end by itself.
	closing context.Context
	close   context.CancelFunc
}

func newConnection(config *clientConfig) (*connection, error) {
	where, problem := parseAddress(config.address)
	if problem != nil {
		return nil, problem
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// What may be repeated is decided here, where outcomes are known.
		grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(maxReceiveBytes), grpc.MaxCallSendMsgSize(maxSendBytes)),
		// The library waits a second or more by default, during which every repetition of a call fails unsent.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second,
			},
			MinConnectTimeout: 5 * time.Second,
		}),
		// A connection that died without a word is found, and replaced, within the default time of one call.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 15 * time.Second, Timeout: 10 * time.Second}),
		// An idle connection is kept: the next call of a worker should not pay for a new one.
		grpc.WithIdleTimeout(0),
	}
	if where.local {
		options = append(options, grpc.WithNoProxy())
	}
	if config.credentials != nil {
		options = append(options, grpc.WithTransportCredentials(config.credentials))
	}
	channel, err := grpc.NewClient(where.target, append(options, config.dialOptions...)...)
	if err != nil {
		problem := addressError("cannot be used")
		problem.cause = err
		return nil, problem
	}
	c := &connection{
		address: where.label, channel: channel, timeout: config.timeout, retry: config.retry, headers: config.headers,
	}
	c.closing, c.close = context.WithCancel(context.Background())
	return c, nil
}

// call calls a method, as often as it takes. It fails with *Error only.
func (c *connection) call(ctx context.Context, m *method, request, response proto.Message) error {
	if !c.begin() {
		return closedError(m)
	}
	defer c.end()
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	start := time.Now()
	failed := c.attempt(ctx, m, request, response)
	if failed.err == nil {
		return nil
	}
	return c.repeat(ctx, m, request, response, failed, start)
}

// attempt sends a call once.
func (c *connection) attempt(ctx context.Context, m *method, request, response proto.Message) failure {
	if c.headers != nil {
		var err error
		if ctx, err = c.withHeaders(ctx); err != nil {
			return failure{err: err}
		}
	}
	asked := peers.Get().(*askedPeer)
	err := c.channel.Invoke(ctx, m.path, request, response, asked.options...)
	failed := failure{err: err, sent: asked.peer.Addr != nil}
	asked.peer = peer.Peer{}
	peers.Put(asked)
	return failed
}

// askedPeer asks the gRPC library for the peer of a call, which it tells if the call was given to a connection.
type askedPeer struct {
	peer    peer.Peer
	options []grpc.CallOption
}

var peers = sync.Pool{New: func() any {
	asked := &askedPeer{}
	asked.options = []grpc.CallOption{grpc.Peer(&asked.peer)}
	return asked
}}

// repeat goes on after an attempt that failed.
func (c *connection) repeat(
	ctx context.Context, m *method, request, response proto.Message, failed failure, start time.Time,
) error {
	facts := callFacts{method: m, address: c.address, ctx: ctx}
	deadline, bounded := ctx.Deadline()
	timesSent := 0
	// An attempt of unknown outcome makes that of the whole call unknown, whatever the attempts after it say.
	doubtful := false
	for attempt := 1; ; attempt++ {
		e := c.errorOf(failed, facts)
		if failed.sent {
			timesSent++
		}
		doubtful = doubtful || e.Outcome == OutcomeUnknown
		if doubtful && e.Outcome == OutcomeNotApplied {
			e.Outcome = OutcomeUnknown
		}
		delay := c.retry.delay(attempt, e, rand.Float64())
		next := time.Now().Add(delay)
		enough := timesSent >= c.retry.MaxAttempts
		if !failed.sent {
			enough = !next.Before(saturatingAdd(start, c.retry.WaitForServer))
		}
		if enough || bounded && !next.Before(deadline) || !mayRepeat(e, m) {
			return e
		}
		if !c.pause(ctx, delay) {
			if ctx.Err() == context.Canceled {
				return cancelledError(facts, doubtful)
			}
			return e
		}
		if failed = c.attempt(ctx, m, request, response); failed.err == nil {
			return nil
		}
	}
}

// errorOf is toError, but for what did not come from the gRPC library.
func (c *connection) errorOf(failed failure, facts callFacts) *Error {
	own, ok := failed.err.(*Error)
	if !ok {
		return toError(failed, facts)
	}
	if facts.ctx.Err() == context.Canceled {
		return cancelledError(facts, failed.sent)
	}
	if facts.method.writes {
		own.Outcome = OutcomeNotApplied
	}
	return own
}

// pause waits before a repetition; false if the caller gave up, or the connection was closed meanwhile.
func (c *connection) pause(ctx context.Context, delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-c.closing.Done():
	}
	return false
}

// withHeaders adds the headers of an attempt.
func (c *connection) withHeaders(ctx context.Context) (context.Context, error) {
	headers, err := c.headers(ctx)
	if err != nil {
		return nil, &Error{
			Code: codes.Unauthenticated, Reason: "UNAUTHENTICATED",
			Message: "the function of WithHeaderFunc failed; see the error that this one wraps", cause: err,
		}
	}
	if problem := checkHeaders(headers); problem != nil {
		return nil, problem
	}
	pairs := make([]string, 0, 2*len(headers))
	for name, value := range headers {
		pairs = append(pairs, name, value)
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...), nil
}

// bounded gives a call its time.
func (c *connection) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, has := ctx.Deadline()
	switch {
	case !has && c.timeout <= maxTimeout:
		return context.WithTimeout(ctx, c.timeout)
	case has && time.Until(deadline) > maxTimeout:
		return unbounded{ctx}, func() {}
	}
	return ctx, func() {}
}

// unbounded is a context whose deadline does not travel.
type unbounded struct{ context.Context }

func (unbounded) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c *connection) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.calls++
	return true
}

func (c *connection) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls--
	if c.calls == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// shut takes no more calls, waits for those under way without repeating them, and closes the channel.
func (c *connection) shut() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.close()
	var idle chan struct{}
	if c.calls > 0 {
		idle = make(chan struct{})
		c.idle = idle
	}
	c.mu.Unlock()
	if idle != nil {
		<-idle
	}
	return c.channel.Close()
}

func closedError(m *method) *Error {
	e := &Error{
		Code: codes.FailedPrecondition, Reason: ReasonClientClosed,
		Message: m.name + " was called after Close; open a new client",
	}
	if m.writes {
		e.Outcome = OutcomeNotApplied
	}
	return e
}
