package executionstore

import (
	"math"
	"time"

	"google.golang.org/grpc/codes"
)

// RetryPolicy says how often and how soon failed calls are repeated, or lost watches connect again. Begin with
// [DefaultRetryPolicy] or [DefaultWatchRetryPolicy], and change what is to differ.
type RetryPolicy struct {
	// MaxAttempts is the most times that a call is sent, the first included; attempts that find no server do not count.
	// Of a watch, the most connections in a row that end without changes and without progress. At least 1.
	MaxAttempts int
	// InitialBackoff is the time before the first repetition; doubled for each that follows. Up to a half is taken away
	// at random, so that clients that failed together do not come back together. At least 0.
	InitialBackoff time.Duration
	// MaxBackoff is the most time between two attempts, unless the server asks for more. At least 0.
	MaxBackoff time.Duration
	// WaitForServer is the time, from the beginning and within that of the call, in which a server that cannot be
	// reached is tried again, so that a worker may start before its server. 0: fail at once. Of a watch it counts until
	// it has started for the first time.
	WaitForServer time.Duration
}

// DefaultRetryPolicy is that of calls: 6 attempts, 100 ms to 2 s apart, and 10 s for a server to come up.
func DefaultRetryPolicy() RetryPolicy {
	return RetryPolicy{
		MaxAttempts:    6,
		InitialBackoff: 100 * time.Millisecond,
		MaxBackoff:     2 * time.Second,
		WaitForServer:  10 * time.Second,
	}
}

// DefaultWatchRetryPolicy is that of watches: connections 250 ms to 10 s apart, for as long as it takes.
func DefaultWatchRetryPolicy() RetryPolicy {
	return RetryPolicy{
		MaxAttempts:    math.MaxInt,
		InitialBackoff: 250 * time.Millisecond,
		MaxBackoff:     10 * time.Second,
		WaitForServer:  math.MaxInt64,
	}
}

// NoRetry sends a call, or connects a watch, once.
func NoRetry() RetryPolicy { return RetryPolicy{MaxAttempts: 1} }

func (p RetryPolicy) check() *Error {
	if p.MaxAttempts < 1 {
		return invalidField(ReasonClientOptionInvalid, "RetryPolicy.MaxAttempts",
			"is less than 1; expected 1 to send a call once, or more to repeat it")
	}
	if p.InitialBackoff < 0 || p.MaxBackoff < 0 || p.WaitForServer < 0 {
		return invalidField(ReasonClientOptionInvalid, "RetryPolicy", "has a negative time; expected times of at least 0")
	}
	return nil
}

// mayRepeat says whether a call that failed may be sent again: only where the server could not be reached or asks for
// it, and then if it is certain that nothing was written, or if writing twice is writing once. So a set-if-absent or a
// compare-and-set of unknown outcome never is: its repetition could not tell its own first attempt from a rival.
func mayRepeat(e *Error, m *method) bool {
	return e.Code == codes.Unavailable && (e.Outcome == OutcomeNotApplied || m.repeatable)
}

// delay is the time to wait after attempt number attempt, from 1; random is from 0 to 1. What the server asks for is
// the least.
func (p RetryPolicy) delay(attempt int, e *Error, random float64) time.Duration {
	// Doubled no more often than it can count: zero times infinity is no time.
	doubled := math.Pow(2, float64(min(attempt-1, 64)))
	backoff := math.Min(float64(p.MaxBackoff), float64(p.InitialBackoff)*doubled)
	asked := float64(e.RetryAfter)
	return time.Duration(math.Max(backoff*(1-random/2), asked*(1+random/5)))
}

// saturatingAdd adds a time that may be the longest there is.
func saturatingAdd(t time.Time, d time.Duration) time.Time {
	const century = 100 * 366 * 24 * time.Hour
	return t.Add(min(d, century))
}
