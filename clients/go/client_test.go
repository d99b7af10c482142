package executionstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	es "github.com/execution-store/execution-store/clients/go"
	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

func TestOptionsThatCannotBeUsed(t *testing.T) {
	policy := es.DefaultRetryPolicy()
	policy.MaxAttempts = 0
	negative := es.DefaultRetryPolicy()
	negative.MaxBackoff = -1
	for name, option := range map[string]es.Option{
		"address": es.WithAddress("nowhere"), "timeout": es.WithTimeout(0),
		"retry": es.WithRetry(policy), "backoff": es.WithRetry(negative),
	} {
		_, err := es.New(option)
		if e := fails(t, err, codes.InvalidArgument, es.ReasonClientOptionInvalid); len(e.Violations) != 1 {
			t.Fatalf("%s: no violation is named", name)
		}
	}
}

func TestErrorsCarryTheirDetails(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		service := open(t, address).Service()
		_, err := service.SetKey(ctx, "", "__store__", 1)
		var e *es.Error
		if !errors.As(err, &e) || !errors.Is(err, es.ErrInvalidArgument) || e.Outcome != es.OutcomeNotApplied {
			t.Fatalf("got %#v", err)
		}
		contains(t, fmt.Sprint(e.Violations), "store_name")
		info := status.Convert(err).Details()[0].(*errdetails.ErrorInfo)
		equal(t, info.GetReason(), string(e.Reason))
		_, err = service.UpdateTTL(ctx, "s", "k", time.Minute)
		e = fails(t, err, codes.NotFound, es.ReasonKeyNotFound)
		equal(t, e.Resource, &es.Resource{Type: "key", Name: "s/k"})
		contains(t, err.Error(), "KEY_NOT_FOUND")
		_, err = service.HasKey(ctx, "s", "\xff")
		fails(t, err, codes.InvalidArgument, es.ReasonRequestMalformed)
	})
}

func TestErrorsOfOthers(t *testing.T) {
	ctx := testContext(t)
	for _, c := range []struct {
		sent   error
		code   codes.Code
		reason es.Reason
	}{
		{status.Error(codes.DataLoss, "x"), codes.Internal, "INTERNAL"},
		{status.Error(codes.Unknown, "x"), codes.Internal, "INTERNAL"},
		{status.Error(codes.Unimplemented, "x"), codes.Unimplemented, "UNIMPLEMENTED"},
		{status.Error(codes.Unauthenticated, "x"), codes.Unauthenticated, "UNAUTHENTICATED"},
		{ourError(codes.Internal, "INTERNAL", map[string]string{"error_id": "abc"}), codes.Internal, "INTERNAL"},
		{ourError(codes.NotFound, "OF_ANOTHER_VERSION", nil), codes.NotFound, "OF_ANOTHER_VERSION"},
	} {
		scripted := startScripted(t, failing(c.sent))
		_, err := open(t, scripted.address).Store("s").Has(ctx, "k")
		e := fails(t, err, c.code, c.reason)
		equal(t, status.Code(err), c.code)
		if c.sent == err {
			t.Fatal("not an error of this package")
		}
		if strings.Contains(fmt.Sprint(c.sent), "said by") && c.reason == "INTERNAL" {
			equal(t, e.ErrorID, "abc")
		}
	}
	empty := startScripted(t, func(context.Context, int, any) (any, error) { return &pb.GetKeyResponse{}, nil })
	_, err := open(t, empty.address).Store("s").Get(ctx, "k")
	fails(t, err, codes.Internal, "INTERNAL")
}

func TestHeaders(t *testing.T) {
	ctx := metadata.AppendToOutgoingContext(testContext(t), "x-trace", "1")
	got := make(chan metadata.MD, 10)
	scripted := startScripted(t, func(ctx context.Context, _ int, _ any) (any, error) {
		headers, _ := metadata.FromIncomingContext(ctx)
		got <- headers
		return &pb.HasKeyResponse{}, nil
	})
	fixed := open(t, scripted.address, es.WithHeaders(map[string]string{"authorization": "Bearer abc"}))
	must[bool](t)(fixed.Store("s").Has(ctx, "k"))
	headers := <-got
	equal(t, headers.Get("authorization"), []string{"Bearer abc"})
	equal(t, headers.Get("x-trace"), []string{"1"})
	watch := fixed.Store("s").Watch(ctx)
	go func() {
		for range watch.Events() {
			break
		}
	}()
	equal(t, scripted.next(t).headers.Get("authorization"), []string{"Bearer abc"})
	watch.Close()

	why := errors.New("no token")
	broken := open(t, scripted.address, es.WithHeaderFunc(func(context.Context) (map[string]string, error) { return nil, why }))
	_, err := broken.Store("s").Set(ctx, "k", 1)
	equal(t, fails(t, err, codes.Unauthenticated, "UNAUTHENTICATED").Outcome, es.OutcomeNotApplied)
	if !errors.Is(err, why) || !errors.Is(err, es.ErrUnauthenticated) {
		t.Fatal(err)
	}
	for err := range errorsOf(broken.Store("s").Watch(ctx)) {
		fails(t, err, codes.Unauthenticated, "UNAUTHENTICATED")
	}
	secret := map[string]string{"authorization": "hunter2\n"}
	_, err = es.New(es.WithHeaders(secret))
	fails(t, err, codes.InvalidArgument, es.ReasonClientOptionInvalid)
	function := func(context.Context) (map[string]string, error) { return secret, nil }
	_, err = open(t, scripted.address, es.WithHeaderFunc(function)).Store("s").Has(ctx, "k")
	fails(t, err, codes.InvalidArgument, es.ReasonClientOptionInvalid)
	if strings.Contains(err.Error(), "hunter2") {
		t.Fatal("the message holds the secret")
	}
}

func TestCloseWaitsForCallsUnderWay(t *testing.T) {
	ctx := testContext(t)
	came, answer := make(chan struct{}), make(chan struct{})
	scripted := startScripted(t, func(_ context.Context, number int, _ any) (any, error) {
		if number == 1 {
			close(came)
			<-answer
		}
		return &pb.HasKeyResponse{Exists: true}, nil
	})
	client := open(t, scripted.address)
	result := make(chan error, 1)
	go func() {
		_, err := client.Store("s").Has(ctx, "k")
		result <- err
	}()
	<-came
	closed := make(chan error, 1)
	go func() { closed <- client.Close() }()
	until(t, "calls are refused", func() bool {
		_, err := client.Store("s").Has(ctx, "k")
		return errors.Is(err, es.ErrClosed)
	})
	select {
	case <-closed:
		t.Fatal("closed before the call under way had ended")
	default:
	}
	close(answer)
	ok(t, <-result)
	ok(t, <-closed)
	ok(t, client.Close())
	_, err := client.Store("s").Set(ctx, "k", 1)
	equal(t, fails(t, err, codes.FailedPrecondition, es.ReasonClientClosed).Outcome, es.OutcomeNotApplied)
}

func TestWatchesOfClosedClients(t *testing.T) {
	ctx := testContext(t)
	client := open(t, shared.lmdb.address)
	store := client.Store("s")
	before := store.Watch(ctx)
	ok(t, client.Close())
	// One that was made before has ended with the client, one that is made after cannot be.
	equal(t, read(t, before).err(), nil)
	fails(t, read(t, store.Watch(ctx)).err(), codes.FailedPrecondition, es.ReasonClientClosed)
	mirror := store.Mirror(ctx)
	fails(t, mirror.Ready(ctx), codes.FailedPrecondition, es.ReasonClientClosed)
	_, err := mirror.Get("k")
	fails(t, err, codes.FailedPrecondition, es.ReasonClientClosed)
	failed := make(chan error, 1)
	store.Subscribe(ctx, func(es.Message) {}, es.WithOnError(func(err error) { failed <- err }))
	fails(t, <-failed, codes.FailedPrecondition, es.ReasonClientClosed)
}

func TestCloseEndsRepetitions(t *testing.T) {
	ctx := testContext(t)
	scripted := startScripted(t, failing(repeated(unavailable("", 20*time.Second), 9)...))
	client := open(t, scripted.address)
	result := make(chan error, 1)
	go func() {
		_, err := client.Store("s").Has(ctx, "k")
		result <- err
	}()
	until(t, "the first attempt came", func() bool { return scripted.count() == 1 })
	ok(t, client.Close())
	fails(t, <-result, codes.Unavailable, "DATABASE_UNREACHABLE")
}

func TestManyGoroutinesShareAClient(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		store := open(t, address).Store("s")
		must[*es.SetResult](t)(store.Set(ctx, "counter", 0))
		var wait sync.WaitGroup
		const goroutines, rounds = 8, 10
		for range goroutines {
			wait.Go(func() {
				for done := 0; done < rounds; {
					now, err := es.Get[int](ctx, store, "counter")
					if err != nil {
						t.Error(err)
						return
					}
					won, err := store.CompareAndSet(ctx, "counter", es.ExpectValue(now), now+1)
					if err != nil {
						t.Error(err)
						return
					}
					if won {
						done++
					}
				}
			})
		}
		wait.Wait()
		equal(t, must[int](t)(es.Get[int](ctx, store, "counter")), goroutines*rounds)
	})
}

func TestUnixSockets(t *testing.T) {
	ctx := testContext(t)
	path := t.TempDir() + "/socket"
	startOwn(t, "--listen", "unix:"+path)
	must[*es.SetResult](t)(open(t, "unix:"+path).Store("s").Set(ctx, "k", 1))
	must[*es.SetResult](t)(open(t, "unix://"+path).Store("s").Set(ctx, "k", 1))
}
