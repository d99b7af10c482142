package executionstore_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"google.golang.org/grpc/codes"

	es "github.com/execution-store/execution-store/clients/go"
)

type inner struct {
	Name string `json:"name"`
}

type sample struct {
	Count   int               `bson:"count" json:"count"`
	When    time.Time         `json:"when"`
	Data    []byte            `json:"data"`
	Inner   inner             `json:"inner"`
	List    []inner           `json:"list"`
	Ratios  map[string]any    `json:"ratios"`
	Labels  map[string]string `json:"labels"`
	Pointer *int              `json:"pointer"`
}

func newSample() sample {
	return sample{
		Count: 7, When: time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC), Data: []byte{0, 255},
		Inner: inner{"x"}, List: []inner{{"y"}, {"z"}}, Labels: map[string]string{"a": "b"},
	}
}

// roundTrip sets a value and reads it as a T, in one encoding.
func roundTrip[T any](t *testing.T, store *es.Store, value any, encoding es.Encoding) T {
	t.Helper()
	ctx := testContext(t)
	must[*es.SetResult](t)(store.Set(ctx, "k", value, es.WithEncoding(encoding)))
	return must[T](t)(es.Get[T](ctx, store, "k", es.WithEncoding(encoding)))
}

func TestValuesAsBSON(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		store := open(t, address).Store("s")
		equal(t, roundTrip[sample](t, store, newSample(), es.EncodingBSON), newSample())
		equal(t, roundTrip[string](t, store, "é\x00", es.EncodingBSON), "é\x00")
		equal(t, roundTrip[bool](t, store, true, es.EncodingBSON), true)
		equal(t, roundTrip[any](t, store, nil, es.EncodingBSON), nil)
		equal(t, roundTrip[[]byte](t, store, []byte{1, 2}, es.EncodingBSON), []byte{1, 2})
		equal(t, roundTrip[[]byte](t, store, []byte{}, es.EncodingBSON), []byte{})
		equal(t, roundTrip[any](t, store, []byte(nil), es.EncodingBSON), nil)
		equal(t, roundTrip[any](t, store, 1<<31-1, es.EncodingBSON), any(int32(math.MaxInt32)))
		equal(t, roundTrip[any](t, store, 1<<31, es.EncodingBSON), any(int64(1<<31)))
		equal(t, roundTrip[any](t, store, -1, es.EncodingBSON), any(int32(-1)))
		equal(t, roundTrip[any](t, store, int64(1), es.EncodingBSON), any(int64(1)))
		equal(t, roundTrip[int8](t, store, 5, es.EncodingBSON), int8(5))
		equal(t, roundTrip[int64](t, store, 5, es.EncodingBSON), int64(5))
		equal(t, roundTrip[float64](t, store, 5, es.EncodingBSON), 5.0)
		equal(t, math.Signbit(roundTrip[float64](t, store, math.Copysign(0, -1), es.EncodingBSON)), true)
		equal(t, math.IsNaN(roundTrip[float64](t, store, math.NaN(), es.EncodingBSON)), true)
		equal(t, roundTrip[[]inner](t, store, []inner{{"a"}}, es.EncodingBSON), []inner{{"a"}})
		equal(t, roundTrip[map[string]int](t, store, map[string]int{"": 1, "$a.b": 2}, es.EncodingBSON), map[string]int{"": 1, "$a.b": 2})
		equal(t, roundTrip[any](t, store, bson.D{{Key: "b", Value: "1"}, {Key: "a", Value: bson.A{true}}}, es.EncodingBSON),
			any(bson.D{{Key: "b", Value: "1"}, {Key: "a", Value: bson.A{true}}}))
		decimal, _ := bson.ParseDecimal128("1.10")
		equal(t, roundTrip[bson.Decimal128](t, store, decimal, es.EncodingBSON), decimal)
		id := bson.NewObjectID()
		equal(t, roundTrip[any](t, store, id, es.EncodingBSON), any(id))
	})
}

func TestValuesAsJSON(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		store := open(t, address).Store("s")
		equal(t, roundTrip[sample](t, store, newSample(), es.EncodingJSON), newSample())
		equal(t, roundTrip[int64](t, store, int64(1)<<60+1, es.EncodingJSON), int64(1)<<60+1)
		equal(t, roundTrip[any](t, store, int64(1)<<60+1, es.EncodingJSON), any(json.Number("1152921504606846977")))
		equal(t, roundTrip[any](t, store, 0.5, es.EncodingJSON), any(json.Number("0.5")))
		for _, double := range []float64{1e300, 1e19, -1.5e20, math.MaxUint64} {
			equal(t, roundTrip[float64](t, store, double, es.EncodingJSON), double)
		}
		equal(t, roundTrip[any](t, store, nil, es.EncodingJSON), nil)
		equal(t, roundTrip[[]any](t, store, []any{true, "x", nil}, es.EncodingJSON), []any{true, "x", nil})

		// Whole numbers are stored as such, and what has no form in JSON comes as Extended JSON.
		must[*es.SetResult](t)(store.Set(ctx, "k", map[string]any{"n": 3}, es.WithEncoding(es.EncodingJSON)))
		equal(t, must[any](t)(es.Get[any](ctx, store, "k")), any(bson.D{{Key: "n", Value: int32(3)}}))
		must[*es.SetResult](t)(store.Set(ctx, "k", time.UnixMilli(1000)))
		equal(t, must[any](t)(es.Get[any](ctx, store, "k", es.WithEncoding(es.EncodingJSON))),
			any(map[string]any{"$date": "1970-01-01T00:00:01Z"}))
		asJSON := must[*es.KeyDocument](t)(store.Get(ctx, "k", es.WithEncoding(es.EncodingJSON)))
		equal(t, asJSON.Raw(), es.RawValue(nil))
		// Which text could be taken for base64.
		must[*es.SetResult](t)(store.Set(ctx, "k", "aGVsbG8="))
		_, err := es.Get[es.RawValue](ctx, store, "k", es.WithEncoding(es.EncodingJSON))
		fails(t, err, codes.InvalidArgument, es.ReasonValueInvalid)

		for _, refused := range []any{math.NaN(), uint64(math.MaxUint64), func() {}} {
			_, err := store.Set(ctx, "k", refused, es.WithEncoding(es.EncodingJSON))
			equal(t, fails(t, err, codes.InvalidArgument, es.ReasonValueInvalid).Outcome, es.OutcomeNotApplied)
		}
	})
}

func TestRawValuesPassUntouched(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		client := open(t, address, es.WithEncoding(es.EncodingBSON))
		store := client.Store("s")
		decimal, _ := bson.ParseDecimal128("1.10")
		encoded, err := bson.Marshal(bson.D{{Key: "value", Value: bson.D{
			{Key: "z", Value: decimal}, {Key: "a", Value: bson.Regex{Pattern: "x", Options: "i"}}, {Key: "m", Value: bson.MinKey{}},
		}}})
		ok(t, err)
		must[*es.SetResult](t)(store.Set(ctx, "k", es.RawValue(encoded), es.WithEncoding(es.EncodingJSON)))
		raw := must[es.RawValue](t)(es.Get[es.RawValue](ctx, store, "k"))
		equal(t, raw, es.RawValue(encoded))
		must[*es.SetResult](t)(store.Set(ctx, "copy", must[*es.KeyDocument](t)(store.Get(ctx, "k")).Raw()))
		equal(t, must[*es.KeyDocument](t)(store.Get(ctx, "copy")).Raw(), es.RawValue(encoded))
		equal(t, must[bool](t)(store.CompareAndSet(ctx, "copy", es.ExpectValue(raw), 1)), true)
		var one int
		ok(t, must[*es.KeyDocument](t)(store.Get(ctx, "copy")).Raw().Decode(&one))
		equal(t, one, 1)
		_, err = store.Set(ctx, "k", es.RawValue(nil))
		fails(t, err, codes.InvalidArgument, "VALUE_MISSING")
		_, err = store.Set(ctx, "k", es.RawValue{1, 2})
		fails(t, err, codes.InvalidArgument, es.ReasonValueInvalid)
	})
}

func TestValuesThatDoNotFit(t *testing.T) {
	ctx := testContext(t)
	store := open(t, shared.lmdb.address).Store("s")
	const secret = "hunter2"
	must[*es.SetResult](t)(store.Set(ctx, "k", map[string]any{"inner": map[string]any{"name": 5}, "count": secret}))
	_, err := es.Get[sample](ctx, store, "k")
	e := fails(t, err, codes.InvalidArgument, es.ReasonValueInvalid)
	contains(t, e.Message, "value.")
	_, err = es.Get[int](ctx, store, "k")
	fails(t, err, codes.InvalidArgument, es.ReasonValueInvalid)
	for _, encoding := range []es.Encoding{es.EncodingBSON, es.EncodingJSON} {
		must[*es.SetResult](t)(store.Set(ctx, "k", secret))
		_, err = es.Get[time.Time](ctx, store, "k", es.WithEncoding(encoding))
		fails(t, err, codes.InvalidArgument, es.ReasonValueInvalid)
		if strings.Contains(err.Error(), secret) {
			t.Fatalf("the message %q holds the value", err)
		}
		if errors.Unwrap(err) == nil {
			t.Fatal("the error does not say its cause")
		}
	}
	document := must[*es.KeyDocument](t)(store.Get(ctx, "k"))
	fails(t, document.Decode(sample{}), codes.InvalidArgument, es.ReasonClientOptionInvalid)
	fails(t, document.Decode((*sample)(nil)), codes.InvalidArgument, es.ReasonClientOptionInvalid)

	for _, refused := range []any{uint64(math.MaxUint64), func() {}, map[bool]int{true: 1}, make(chan int)} {
		_, err := store.Set(ctx, "k", refused)
		equal(t, fails(t, err, codes.InvalidArgument, es.ReasonValueInvalid).Violations[0].Field, "value")
	}
	_, err = store.Set(ctx, "k", 1, es.WithEncoding(es.EncodingNone))
	fails(t, err, codes.InvalidArgument, "ENCODING_INVALID")
}

func TestLargeValues(t *testing.T) {
	onEachEngine(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		store := open(t, address).Store("s")
		// {"value": binary} takes 17 bytes more.
		largest := make([]byte, 15<<20-17)
		largest[12345] = 7
		must[*es.SetResult](t)(store.Set(ctx, "k", largest))
		equal(t, must[[]byte](t)(es.Get[[]byte](ctx, store, "k"))[12345], byte(7))
		_, err := store.Set(ctx, "k", make([]byte, 15<<20))
		equal(t, fails(t, err, codes.ResourceExhausted, es.ReasonValueTooLarge).Outcome, es.OutcomeNotApplied)
		_, err = store.CompareAndSet(ctx, "k", es.ExpectValue(largest), 1)
		fails(t, err, codes.ResourceExhausted, es.ReasonValueTooLarge)
		_, err = store.Set(ctx, strings.Repeat("k", 18<<20), 1)
		equal(t, fails(t, err, codes.ResourceExhausted, es.ReasonRequestTooLarge).Outcome, es.OutcomeNotApplied)
	})
}

func TestDeepValuesComeAsBSON(t *testing.T) {
	ctx := testContext(t)
	store := open(t, shared.lmdb.address).Store("s")
	var deep any = 1
	for range 40 {
		deep = bson.A{deep}
	}
	must[*es.SetResult](t)(store.Set(ctx, "k", deep))
	_, err := store.Get(ctx, "k", es.WithEncoding(es.EncodingJSON))
	fails(t, err, codes.FailedPrecondition, "VALUE_TOO_DEEP_FOR_JSON")
	for document, err := range store.Values(ctx, es.WithEncoding(es.EncodingJSON)) {
		ok(t, err)
		var value any
		ok(t, document.Decode(&value))
		equal(t, value, deep2(int32(1)))
	}
}

// deep2 is the value of TestDeepValuesComeAsBSON as it is read.
func deep2(innermost any) any {
	for range 40 {
		innermost = bson.A{innermost}
	}
	return innermost
}
