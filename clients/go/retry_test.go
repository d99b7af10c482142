package executionstore_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	es "github.com/execution-store/execution-store/clients/go"
	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

// soon is a policy that repeats without delay.
func soon() es.RetryPolicy {
	policy := es.DefaultRetryPolicy()
	policy.InitialBackoff, policy.MaxBackoff = time.Millisecond, time.Millisecond
	return policy
}

// failing answers with errors as long as there are any, then as SetKey or HasKey do.
func failing(errs ...error) func(context.Context, int, any) (any, error) {
	return func(_ context.Context, number int, request any) (any, error) {
		if number <= len(errs) {
			return nil, errs[number-1]
		}
		document := &pb.KeyDocument{StoreName: "s", Key: "k", Policy: pb.KeyPolicy_KEY_POLICY_PERSIST, Etag: "e"}
		switch request.(type) {
		case *pb.HasKeyRequest:
			return &pb.HasKeyResponse{Exists: true}, nil
		case *pb.SetKeyRequest:
			return &pb.SetKeyResponse{Document: document}, nil
		case *pb.SetKeyIfAbsentRequest:
			return &pb.SetKeyIfAbsentResponse{Document: document, Set: true}, nil
		case *pb.CompareAndSetKeyRequest:
			return &pb.CompareAndSetKeyResponse{Document: document, Set: true}, nil
		case *pb.CreateStoreRequest:
			return &pb.CreateStoreResponse{Store: &pb.StoreDocument{StoreName: "s"}}, nil
		}
		return nil, status.Error(codes.Internal, "not scripted")
	}
}

func repeated(err error, times int) []error {
	errs := make([]error, times)
	for index := range errs {
		errs[index] = err
	}
	return errs
}

func TestReadsAreRepeatedUpToSixTimes(t *testing.T) {
	ctx := testContext(t)
	for _, err := range []error{unavailable("", 0), status.Error(codes.Unavailable, "proxy"), status.Error(codes.Canceled, "proxy")} {
		scripted := startScripted(t, failing(repeated(err, 5)...))
		store := open(t, scripted.address, es.WithRetry(soon())).Store("s")
		equal(t, must[bool](t)(store.Has(ctx, "k")), true)
		equal(t, scripted.count(), 6)
	}
	scripted := startScripted(t, failing(repeated(unavailable("", 0), 6)...))
	_, err := open(t, scripted.address, es.WithRetry(soon())).Store("s").Has(ctx, "k")
	equal(t, fails(t, err, codes.Unavailable, "DATABASE_UNREACHABLE").Outcome, es.OutcomeNone)
	equal(t, scripted.count(), 6)
	if !errors.Is(err, es.ErrUnavailable) || errors.Is(err, es.ErrServerUnreachable) || status.Code(err) != codes.Unavailable {
		t.Fatal(err)
	}
}

func TestWhatIsRepeated(t *testing.T) {
	ctx := testContext(t)
	unknown, not := unavailable("UNKNOWN", 0), unavailable("NOT_APPLIED", 0)
	set := func(s *es.Service) error { _, err := s.SetKey(ctx, "s", "k", 1); return err }
	absent := func(s *es.Service) error { _, err := s.SetKeyIfAbsent(ctx, "s", "k", 1); return err }
	compare := func(s *es.Service) error {
		_, err := s.CompareAndSetKey(ctx, "s", "k", es.ExpectValue(1), 1)
		return err
	}
	create := func(s *es.Service) error { _, err := s.CreateStore(ctx, "s"); return err }
	has := func(s *es.Service) error { _, err := s.HasKey(ctx, "s", "k"); return err }
	cases := []struct {
		name  string
		call  func(*es.Service) error
		err   error
		calls int
	}{
		{"a set of unknown outcome", set, unknown, 2},
		{"a set that was not applied", set, not, 2},
		{"a set that a bare status ended", set, status.Error(codes.Unavailable, "x"), 2},
		{"a set-if-absent of unknown outcome", absent, unknown, 1},
		{"a set-if-absent that a bare status ended", absent, status.Error(codes.Unavailable, "x"), 1},
		{"a set-if-absent that was not applied", absent, not, 2},
		{"a compare-and-set of unknown outcome", compare, unknown, 1},
		{"a compare-and-set that was not applied", compare, not, 2},
		{"a creation of unknown outcome", create, unknown, 1},
		{"a creation that was not applied", create, not, 2},
		{"a read that the server is too busy for", has, ourError(codes.ResourceExhausted, "DATABASE_BUSY", nil), 1},
		{"a read that failed", has, ourError(codes.Internal, "INTERNAL", nil), 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			scripted := startScripted(t, failing(c.err))
			err := c.call(open(t, scripted.address, es.WithRetry(soon())).Service())
			equal(t, scripted.count(), c.calls)
			equal(t, err == nil, c.calls == 2)
			once := startScripted(t, failing(c.err))
			if c.call(open(t, once.address, es.WithRetry(es.NoRetry())).Service()) == nil || once.count() != 1 {
				t.Fatal("repeated although NoRetry forbids it")
			}
		})
	}
}

func TestOutcomeOfRepetitions(t *testing.T) {
	ctx := testContext(t)
	scripted := startScripted(t, failing(unavailable("UNKNOWN", 0), ourError(codes.ResourceExhausted, "STORAGE_FULL", map[string]string{"outcome": "NOT_APPLIED"})))
	_, err := open(t, scripted.address, es.WithRetry(soon())).Store("s").Set(ctx, "k", 1)
	equal(t, fails(t, err, codes.ResourceExhausted, "STORAGE_FULL").Outcome, es.OutcomeUnknown)
}

func TestTheServerSaysWhenToComeBack(t *testing.T) {
	ctx := testContext(t)
	scripted := startScripted(t, failing(unavailable("", 300*time.Millisecond)))
	began := time.Now()
	must[bool](t)(open(t, scripted.address, es.WithRetry(soon())).Store("s").Has(ctx, "k"))
	if time.Since(began) < 300*time.Millisecond {
		t.Fatal("came back too soon")
	}
	// A repetition that would come after the deadline is none.
	patient := startScripted(t, failing(unavailable("", time.Hour)))
	began = time.Now()
	_, err := open(t, patient.address).Store("s").Has(ctx, "k")
	equal(t, fails(t, err, codes.Unavailable, "DATABASE_UNREACHABLE").RetryAfter, time.Hour)
	if time.Since(began) > 5*time.Second {
		t.Fatal("waited in vain")
	}
}

func TestTimeOfCalls(t *testing.T) {
	ctx := t.Context()
	times := make(chan time.Duration, 1)
	scripted := startScripted(t, func(ctx context.Context, _ int, _ any) (any, error) {
		deadline, has := ctx.Deadline()
		left := time.Until(deadline)
		if !has {
			left = 0
		}
		times <- left
		return &pb.HasKeyResponse{}, nil
	})
	call := func(ctx context.Context, options ...es.Option) time.Duration {
		must[bool](t)(open(t, scripted.address, options...).Store("s").Has(ctx, "k"))
		return <-times
	}
	within := func(d time.Duration, want time.Duration) {
		t.Helper()
		if d > want || d < want-10*time.Second {
			t.Fatalf("the call had %s, want about %s", d, want)
		}
	}
	within(call(ctx), 30*time.Second)
	within(call(ctx, es.WithTimeout(time.Minute)), time.Minute)
	longer, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	within(call(longer), time.Hour)
	endless, cancel := context.WithTimeout(ctx, 30*24*time.Hour)
	defer cancel()
	equal(t, call(endless), time.Duration(0))
	equal(t, call(ctx, es.WithTimeout(1<<63-1)), time.Duration(0))
}

func TestCallsThatTakeTooLong(t *testing.T) {
	// Without a deadline, which would count instead of that of WithTimeout.
	ctx := t.Context()
	came := make(chan struct{}, 10)
	scripted := startScripted(t, func(ctx context.Context, _ int, _ any) (any, error) {
		came <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	store := open(t, scripted.address, es.WithTimeout(500*time.Millisecond)).Store("s")
	_, err := store.Set(ctx, "k", 1)
	equal(t, fails(t, err, codes.DeadlineExceeded, "DEADLINE_EXCEEDED").Outcome, es.OutcomeUnknown)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	<-came
	cancelled, cancel := context.WithCancelCause(ctx)
	why := errors.New("because")
	go func() {
		<-came
		cancel(why)
	}()
	_, err = open(t, scripted.address).Store("s").Set(cancelled, "k", 1)
	equal(t, fails(t, err, codes.Canceled, "CANCELLED").Outcome, es.OutcomeUnknown)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, why) || status.Code(err) != codes.Canceled {
		t.Fatal(err)
	}
	_, err = store.Set(cancelled, "k", 1)
	equal(t, fails(t, err, codes.Canceled, "CANCELLED").Outcome, es.OutcomeNotApplied)
}

func TestServersThatAreNotThere(t *testing.T) {
	ctx := testContext(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	address := listener.Addr().String()
	ok(t, listener.Close())
	policy := es.DefaultRetryPolicy()
	policy.WaitForServer = 0
	_, err = open(t, address, es.WithRetry(policy)).Store("s").SetIfAbsent(ctx, "k", 1)
	e := fails(t, err, codes.Unavailable, es.ReasonServerUnreachable)
	equal(t, e.Outcome, es.OutcomeNotApplied)
	contains(t, e.Message, address)
	contains(t, e.Message, "npx execution-store serve")
	if !errors.Is(err, es.ErrServerUnreachable) || !errors.Is(err, es.ErrUnavailable) {
		t.Fatal(err)
	}

	// Calls wait for a server that comes up, those that are never repeated included: nothing was sent.
	store := open(t, address).Store("s")
	answer := make(chan error, 1)
	go func() {
		_, err := store.SetIfAbsent(ctx, "k", 1)
		answer <- err
	}()
	select {
	case err := <-answer:
		t.Fatalf("did not wait for the server: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	listener, err = net.Listen("tcp", address)
	ok(t, err)
	late := &scriptedServer{answer: failing()}
	late.serve(listener)
	t.Cleanup(late.server.Stop)
	ok(t, <-answer)
}

func TestCallsGoOnAfterARestart(t *testing.T) {
	ctx := testContext(t)
	own := startOwn(t)
	store := open(t, own.address).Store("s")
	for round := range 3 {
		must[*es.SetResult](t)(store.Set(ctx, "k", round))
		own.kill()
		done := make(chan error, 1)
		go func() {
			_, err := es.Get[int](ctx, store, "k")
			done <- err
		}()
		ok(t, own.restart())
		ok(t, <-done)
		equal(t, must[int](t)(es.Get[int](ctx, store, "k")), round)
	}
}
