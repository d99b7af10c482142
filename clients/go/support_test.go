package executionstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	es "github.com/execution-store/execution-store/clients/go"
)

// open opens a client for the stores of a dataset that nobody else uses, or as options say.
func open(t *testing.T, address string, options ...es.Option) *es.Client {
	t.Helper()
	dataset := fmt.Sprintf("%08x%016x", rand.Uint32(), rand.Uint64())
	all := append([]es.Option{es.WithAddress(address), es.WithDataset(dataset)}, options...)
	client, err := es.New(all...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// must fails the test on an error.
func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %#v, want %#v", got, want)
	}
}

// fails checks that an error is an *Error of a reason, and gives it.
func fails(t *testing.T, err error, code codes.Code, reason es.Reason) *es.Error {
	t.Helper()
	var e *es.Error
	if !errors.As(err, &e) {
		t.Fatalf("got the error %v (%T), want an *Error", err, err)
	}
	if e.Code != code || e.Reason != reason {
		t.Fatalf("got %s %s (%s), want %s %s", e.Code, e.Reason, e.Message, code, reason)
	}
	return e
}

func contains(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Fatalf("%q does not contain %q", text, part)
	}
}
