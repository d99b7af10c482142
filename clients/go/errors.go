package executionstore

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Reason is a stable name for one cause of errors, such as KEY_NOT_FOUND. It never changes its meaning or its code; new
// ones may come. An error without a word of the service has the name of its code.
type Reason string

// Reasons that the client itself gives, or looks at. Those of the service are listed in docs/errors.md.
const (
	ReasonKeyNotFound         Reason = "KEY_NOT_FOUND"
	ReasonStoreNotFound       Reason = "STORE_NOT_FOUND"
	ReasonStoreAlreadyExists  Reason = "STORE_ALREADY_EXISTS"
	ReasonHistoryLost         Reason = "HISTORY_LOST"
	ReasonServerUnreachable   Reason = "SERVER_UNREACHABLE"
	ReasonClientOptionInvalid Reason = "CLIENT_OPTION_INVALID"
	ReasonClientClosed        Reason = "CLIENT_CLOSED"
	ReasonValueInvalid        Reason = "VALUE_INVALID"
	ReasonValueTooLarge       Reason = "VALUE_TOO_LARGE"
	ReasonRequestTooLarge     Reason = "REQUEST_TOO_LARGE"
	ReasonRequestMalformed    Reason = "REQUEST_MALFORMED"

	reasonWatchTooSlow = "WATCH_TOO_SLOW"
	reasonDatabaseBusy = "DATABASE_BUSY"
)

// Outcome says of a failed write whether it changed anything.
type Outcome string

const (
	// OutcomeNone is that of errors which are not about a write.
	OutcomeNone Outcome = ""
	// OutcomeNotApplied means that certainly nothing was written.
	OutcomeNotApplied Outcome = "NOT_APPLIED"
	// OutcomeUnknown means that nobody knows.
	OutcomeUnknown Outcome = "UNKNOWN"
)

// FieldViolation is what one field of a request has wrong.
type FieldViolation struct {
	// Field is a path in the names of the wire, such as entries[3].key.
	Field string
	// Description says what was wrong and what was expected.
	Description string
}

// Resource is the thing that is, or is not, there.
type Resource struct {
	// Type is "key", "store" or "service".
	Type string
	// Name of a key is STORE/KEY.
	Name string
}

// Error is the one error of this package.
type Error struct {
	// Code is the class of the error, as a gRPC code.
	Code codes.Code
	// Reason is the stable cause.
	Reason Reason
	// Message is for people: what was wrong, what was expected, what to do. It never holds a value.
	Message string
	// Outcome is set for errors of writes.
	Outcome Outcome
	// Violations are the fields at fault, for InvalidArgument.
	Violations []FieldViolation
	// Resource is set for NotFound and AlreadyExists.
	Resource *Resource
	// RetryAfter is how long to wait before the next attempt, for Unavailable; 0 if the server does not say.
	RetryAfter time.Duration
	// ResumeToken is where a watch that ended can go on; empty if there is no such place.
	ResumeToken string
	// ErrorID is what the server's log files the cause under, for Internal.
	ErrorID string

	cause  error
	status *status.Status
}

// Error tells the message and the reason.
func (e *Error) Error() string {
	return fmt.Sprintf("execution store: %s (%s)", e.Message, e.Reason)
}

// Unwrap gives the underlying error, if there is one. It may hold what must not be logged.
func (e *Error) Unwrap() error { return e.cause }

// Is says whether the error is of the kind that a sentinel of this package, context.Canceled or
// context.DeadlineExceeded stands for.
func (e *Error) Is(target error) bool {
	if kind, ok := target.(*sentinel); ok {
		return kind.code == e.Code && (kind.reason == "" || kind.reason == e.Reason)
	}
	switch target {
	case context.Canceled:
		return e.Code == codes.Canceled
	case context.DeadlineExceeded:
		return e.Code == codes.DeadlineExceeded
	}
	return false
}

// GRPCStatus gives the status that the server sent with its details or, for an error of the client, one that says the
// same. With it, status.FromError and status.Code take an Error.
func (e *Error) GRPCStatus() *status.Status {
	if e.status != nil {
		return e.status
	}
	return status.New(e.Code, e.Message)
}

// sentinel is a kind of error, to be asked for with errors.Is.
type sentinel struct {
	code   codes.Code
	reason Reason
	text   string
}

func (s *sentinel) Error() string { return "execution store: " + s.text }

// What errors are told apart by with errors.Is: by their code, or finer, by their reason.
var (
	// ErrInvalidArgument is about a request or an option that cannot be used; see Error.Violations.
	ErrInvalidArgument error = &sentinel{codes.InvalidArgument, "", "invalid argument"}
	// ErrNotFound is about a key or a store that is not there.
	ErrNotFound error = &sentinel{codes.NotFound, "", "not found"}
	// ErrKeyNotFound says that no live document has the key.
	ErrKeyNotFound error = &sentinel{codes.NotFound, ReasonKeyNotFound, "key not found"}
	// ErrStoreNotFound says that the store has neither a document nor a live key.
	ErrStoreNotFound error = &sentinel{codes.NotFound, ReasonStoreNotFound, "store not found"}
	// ErrAlreadyExists says that the store to create has a document.
	ErrAlreadyExists error = &sentinel{codes.AlreadyExists, "", "already exists"}
	// ErrFailedPrecondition says that a state does not allow the call.
	ErrFailedPrecondition error = &sentinel{codes.FailedPrecondition, "", "failed precondition"}
	// ErrHistoryLost says that a watch cannot go on where it was: take a snapshot.
	ErrHistoryLost error = &sentinel{codes.OutOfRange, "", "history lost"}
	// ErrPermissionDenied says that access is refused.
	ErrPermissionDenied error = &sentinel{codes.PermissionDenied, "", "permission denied"}
	// ErrUnauthenticated says that credentials are missing or were refused.
	ErrUnauthenticated error = &sentinel{codes.Unauthenticated, "", "unauthenticated"}
	// ErrResourceExhausted is about a limit of size or rate.
	ErrResourceExhausted error = &sentinel{codes.ResourceExhausted, "", "resource exhausted"}
	// ErrUnavailable says that server or database cannot be reached: repeat later.
	ErrUnavailable error = &sentinel{codes.Unavailable, "", "unavailable"}
	// ErrServerUnreachable says that no connection to the server came about; nothing was sent.
	ErrServerUnreachable error = &sentinel{codes.Unavailable, ReasonServerUnreachable, "server unreachable"}
	// ErrUnimplemented says that the server does not know the method.
	ErrUnimplemented error = &sentinel{codes.Unimplemented, "", "unimplemented"}
	// ErrInternal is about a fault of the service; see Error.ErrorID.
	ErrInternal error = &sentinel{codes.Internal, "", "internal"}
	// ErrClosed says that the client, or the watch, was closed before.
	ErrClosed error = &sentinel{codes.FailedPrecondition, ReasonClientClosed, "closed"}
)

// invalidField is an InvalidArgument about one field; its message is the field's name and the description.
func invalidField(reason Reason, field, description string) *Error {
	return &Error{
		Code:       codes.InvalidArgument,
		Reason:     reason,
		Message:    field + " " + description,
		Violations: []FieldViolation{{Field: field, Description: description}},
	}
}

// brokenAnswer is about an answer that breaks the contract.
func brokenAnswer(what string) *Error {
	return &Error{
		Code:    codes.Internal,
		Reason:  "INTERNAL",
		Message: "the server's answer " + what + "; is it an execution store, and as new as this client?",
	}
}

// beforeSending marks an error that came up before a write was sent.
func beforeSending(err error) error {
	if e, ok := err.(*Error); ok && e.Outcome == OutcomeNone {
		e.Outcome = OutcomeNotApplied
	}
	return err
}
