package executionstore

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const errorDomain = "execution-store"

// failure is what an attempt ended with.
type failure struct {
	err error
	// sent is false only if certainly nothing of the call has left this process.
	sent bool
}

// callFacts is what is known of a call that failed.
type callFacts struct {
	method  *method
	address string
	// ctx is the call's own, with its deadline.
	ctx context.Context
}

// codeNames are the codes' names on the wire; an error without a reason of the service has its code's.
var codeNames = map[codes.Code]Reason{
	codes.Canceled: "CANCELLED", codes.InvalidArgument: "INVALID_ARGUMENT", codes.DeadlineExceeded: "DEADLINE_EXCEEDED",
	codes.NotFound: "NOT_FOUND", codes.AlreadyExists: "ALREADY_EXISTS", codes.PermissionDenied: "PERMISSION_DENIED",
	codes.ResourceExhausted: "RESOURCE_EXHAUSTED", codes.FailedPrecondition: "FAILED_PRECONDITION",
	codes.OutOfRange: "OUT_OF_RANGE", codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL",
	codes.Unavailable: "UNAVAILABLE", codes.Unauthenticated: "UNAUTHENTICATED",
}

// toError turns what an attempt ended with into the error that the caller gets.
func toError(failed failure, facts callFacts) *Error {
	sent := status.Convert(failed.err)
	e := &Error{Code: sent.Code(), Message: sent.Message()}
	if facts.ctx.Err() == context.Canceled {
		return cancelledError(facts, failed.sent)
	}
	if readDetails(e, sent, facts.method.writes) {
		e.status = sent
	} else {
		bareError(e, failed, facts)
	}
	if _, known := codeNames[e.Code]; !known {
		e.Code = codes.Internal
	}
	if e.Reason == "" {
		e.Reason = codeNames[e.Code]
	}
	return e
}

// readDetails takes the google.rpc details over, and answers whether the service itself has spoken.
func readDetails(e *Error, sent *status.Status, writes bool) bool {
	spoken := false
	for _, detail := range sent.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() != errorDomain {
				continue
			}
			spoken = true
			e.Reason = Reason(detail.GetReason())
			metadata := detail.GetMetadata()
			e.ErrorID, e.ResumeToken = metadata["error_id"], metadata["resume_token"]
			if writes {
				e.Outcome = OutcomeUnknown
				if Outcome(metadata["outcome"]) == OutcomeNotApplied {
					e.Outcome = OutcomeNotApplied
				}
			}
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				e.Violations = append(e.Violations,
					FieldViolation{Field: violation.GetField(), Description: violation.GetDescription()})
			}
		case *errdetails.ResourceInfo:
			e.Resource = &Resource{Type: detail.GetResourceType(), Name: detail.GetResourceName()}
		case *errdetails.RetryInfo:
			e.RetryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	return spoken
}

// How the gRPC library says that it could not send what it was given: nothing of it travels then.
const (
	sendTooLarge = "trying to send message larger than max"
	notUTF8      = "error while marshaling: string field contains invalid UTF-8"
)

// bareError words an error of the gRPC library, of a proxy, or of a server that is not ours.
func bareError(e *Error, failed failure, facts callFacts) {
	name, said := facts.method.name, e.Message
	e.cause = failed.err
	if facts.method.writes {
		e.Outcome = OutcomeUnknown
		if !failed.sent {
			e.Outcome = OutcomeNotApplied
		}
	}
	unsendable := func(code codes.Code, reason Reason, message string) {
		e.Code, e.Reason, e.Message = code, reason, message
		if facts.method.writes {
			e.Outcome = OutcomeNotApplied
		}
	}
	switch {
	case e.Code == codes.ResourceExhausted && strings.Contains(said, sendTooLarge):
		unsendable(codes.ResourceExhausted, ReasonRequestTooLarge,
			fmt.Sprintf("the request of %s is over %d bytes long; send less at once", name, maxRequestBytes))
	case e.Code == codes.Internal && strings.Contains(said, notUTF8):
		unsendable(codes.InvalidArgument, ReasonRequestMalformed,
			"a string of the request of "+name+" is not UTF-8; send keys, names and texts as UTF-8")
	case e.Code == codes.Unavailable && !failed.sent:
		e.Reason = ReasonServerUnreachable
		e.Message = fmt.Sprintf("the server at %s cannot be reached (%s); is it running? Start it with: npx execution-store serve",
			facts.address, said)
	case e.Code == codes.Canceled:
		// Bare, and not by the caller: a server or a proxy that goes down has ended the call.
		e.Code = codes.Unavailable
		e.Message = fmt.Sprintf("%s was cut off at %s (%s)", name, facts.address, said)
	case e.Code == codes.DeadlineExceeded:
		where := "the server at " + facts.address + " did not answer"
		if !failed.sent {
			where = "no connection to " + facts.address + " came about"
		}
		e.Message = name + " did not finish in time: " + where +
			"; allow more time by the context's deadline or WithTimeout, or check the server"
	case e.Code == codes.Unimplemented:
		e.Message = fmt.Sprintf("the server at %s does not know %s (%s); is it an execution store, and as new as this client?",
			facts.address, name, said)
	default:
		e.Message = fmt.Sprintf("%s failed at %s with %s: %s", name, facts.address, e.Code, said)
	}
}

// cancelledError is for a caller who gave up.
func cancelledError(facts callFacts, sent bool) *Error {
	e := &Error{
		Code:    codes.Canceled,
		Reason:  "CANCELLED",
		Message: facts.method.name + " was cancelled by its caller's context",
		cause:   context.Cause(facts.ctx),
	}
	if facts.method.writes {
		e.Outcome = OutcomeNotApplied
		if sent {
			e.Outcome = OutcomeUnknown
		}
	}
	return e
}

// tooLarge is how gRPC libraries say that a message is too large, which it would be again.
var tooLarge = regexp.MustCompile(`(?is)message.* larger than`)

// toStreamError is toError for the end of a stream: one that ends without a word of the service broke off on its way, by
// a fault or a limit of something there, and who knows where it was may open it again.
func toStreamError(failed failure, facts callFacts) *Error {
	e := toError(failed, facts)
	if e.status != nil {
		return e
	}
	said := status.Convert(failed.err)
	switch e.Code {
	case codes.Internal, codes.DeadlineExceeded:
	case codes.ResourceExhausted:
		if tooLarge.MatchString(said.Message()) {
			return e
		}
	default:
		return e
	}
	return &Error{
		Code:       codes.Unavailable,
		Reason:     "UNAVAILABLE",
		Message:    fmt.Sprintf("%s broke off at %s with %s: %s", facts.method.name, facts.address, said.Code(), said.Message()),
		RetryAfter: e.RetryAfter,
		cause:      e,
	}
}

// silentError is about a connection that says nothing for longer than it may.
func silentError(limit time.Duration) *Error {
	return &Error{
		Code:    codes.Unavailable,
		Reason:  "UNAVAILABLE",
		Message: fmt.Sprintf("the server said nothing for %s, although it should have told of its progress", limit),
	}
}

// streamEnd is toStreamError for what a read of a stream gave; a stream that ends without a status breaks the contract.
func streamEnd(err error, sent bool, facts callFacts) *Error {
	if err == io.EOF {
		err = status.Error(codes.Internal, "the stream ended without a status")
	}
	return toStreamError(failure{err, sent}, facts)
}
