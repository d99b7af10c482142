package executionstore

import (
	"context"
	"fmt"
	"math"
	"os"
	"regexp"
	"sync"
	"time"
)

// Client is a connection to a server. It connects at the first call, and again by itself when the connection is lost.
// Any number of goroutines may use it, its services and its stores at the same time.
type Client struct {
	connection *connection
	context    contextConfig

	mu            sync.Mutex
	subscriptions map[string]*subscription
}

// New opens a client. Nothing is sent yet. It fails as [ErrInvalidArgument], with ReasonClientOptionInvalid, for an
// option that cannot be used.
func New(options ...Option) (*Client, error) {
	config := clientConfig{
		address: os.Getenv("EXECUTION_STORE_ADDRESS"),
		timeout: 30 * time.Second,
		retry:   DefaultRetryPolicy(),
	}
	if config.address == "" {
		config.address = DefaultAddress
	}
	for _, option := range options {
		option.applyClient(&config)
	}
	if problem := config.check(); problem != nil {
		return nil, problem
	}
	connection, err := newConnection(&config)
	if err != nil {
		return nil, err
	}
	return &Client{connection: connection, context: config.context, subscriptions: map[string]*subscription{}}, nil
}

func (config *clientConfig) check() *Error {
	if config.timeout <= 0 {
		return invalidField(ReasonClientOptionInvalid, "timeout",
			fmt.Sprintf("is not greater than 0; give %d for no limit", int64(math.MaxInt64)))
	}
	if problem := config.retry.check(); problem != nil {
		return problem
	}
	return config.headersProblem
}

// Address is that of the server, as it was given.
func (c *Client) Address() string { return c.connection.address }

// Service gives a method for every RPC, in the client's context of stores or, as far as options say, in another.
func (c *Client) Service(options ...ContextOption) *Service {
	return &Service{client: c, connection: c.connection, config: c.context.with(options)}
}

// Store gives one store, in the client's context of stores or, as far as options say, in another. It need not be
// created on the server before; it exists there while it has a key.
func (c *Client) Store(name string, options ...ContextOption) *Store {
	return &Store{name: name, service: c.Service(options...)}
}

// Close takes no more calls (they fail as [ErrClosed]), ends watches, mirrors and subscriptions, waits for calls under
// way without repeating them, and closes the connection. Only the first time counts.
func (c *Client) Close() error { return c.connection.shut() }

func (c contextConfig) with(options []ContextOption) contextConfig {
	for _, option := range options {
		option.applyContext(&c)
	}
	return c
}

var (
	headerName  = regexp.MustCompile(`^[0-9a-z_.-]+$`)
	headerValue = regexp.MustCompile(`^[\x20-\x7e]*$`)
)

// checkHeaders is done here since the library's own message could carry the value, which may be a secret.
func checkHeaders(headers map[string]string) *Error {
	for name, value := range headers {
		if !headerName.MatchString(name) || !headerValue.MatchString(value) {
			return invalidField(ReasonClientOptionInvalid, fmt.Sprintf("headers[%q]", name),
				"is no HTTP/2 header; expected a name of lower-case letters, digits, and -_. and a value of visible ASCII")
		}
	}
	return nil
}

// streamContext is that of a watch: it ends with the caller's, and when the client is closed.
func (c *connection) streamContext(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(unbounded{ctx})
	stop := context.AfterFunc(c.closing, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}
