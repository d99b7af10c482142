package executionstore

import (
	"context"
	"crypto/tls"
	"maps"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// DefaultAddress is where a server is looked for if neither WithAddress nor EXECUTION_STORE_ADDRESS names one.
const DefaultAddress = "127.0.0.1:50051"

// Option is how a client is opened.
type Option interface {
	applyClient(*clientConfig)
}

// ContextOption is an Option that says which stores are seen, and how values travel: for all of a client, or for one
// of its services or stores.
type ContextOption interface {
	Option
	applyContext(*contextConfig)
}

type clientConfig struct {
	address     string
	timeout     time.Duration
	retry       RetryPolicy
	credentials credentials.TransportCredentials
	headers     HeaderFunc
	// headersProblem is that of fixed headers.
	headersProblem *Error
	dialOptions    []grpc.DialOption
	context        contextConfig
}

type contextConfig struct {
	dataset       string
	collection    string
	defaultPolicy Policy
	encoding      Encoding
}

type clientOption func(*clientConfig)

func (o clientOption) applyClient(c *clientConfig) { o(c) }

type contextOption func(*contextConfig)

func (o contextOption) applyClient(c *clientConfig)   { o(&c.context) }
func (o contextOption) applyContext(c *contextConfig) { o(c) }

// WithAddress says where the server is: HOST:PORT, unix:/PATH, or a gRPC target such as dns:///HOST:PORT. Without it,
// it is EXECUTION_STORE_ADDRESS of the environment, or [DefaultAddress].
func WithAddress(address string) Option {
	return clientOption(func(c *clientConfig) { c.address = address })
}

// WithTLS connects with TLS; a nil config means the usual trust. Without it, or [WithCredentials], the connection is
// not encrypted.
func WithTLS(config *tls.Config) Option {
	return WithCredentials(credentials.NewTLS(config))
}

// WithCredentials is WithTLS for those who have the credentials of gRPC.
func WithCredentials(c credentials.TransportCredentials) Option {
	return clientOption(func(config *clientConfig) { config.credentials = c })
}

// WithDialOptions gives options to the gRPC channel, which take precedence over those of this package.
func WithDialOptions(options ...grpc.DialOption) Option {
	return clientOption(func(c *clientConfig) { c.dialOptions = append(c.dialOptions, options...) })
}

// WithTimeout is the time that a call has, with its repetitions, if its context has no deadline: 30 seconds unless
// set. Methods that send several requests (iterators, batches over the limits) have as long for each. More than 1e9 ms
// (about 11 days) means no limit. It must be greater than 0.
func WithTimeout(timeout time.Duration) Option {
	return clientOption(func(c *clientConfig) { c.timeout = timeout })
}

// WithRetry says how failed calls are repeated where that is safe; see [DefaultRetryPolicy] and [NoRetry]. That of
// watches is [WithWatchRetry].
func WithRetry(policy RetryPolicy) Option {
	return clientOption(func(c *clientConfig) { c.retry = policy })
}

// HeaderFunc gives the headers of an attempt, so that a token may change.
type HeaderFunc func(ctx context.Context) (map[string]string, error)

// WithHeaders sends these headers with every request, such as authorization. Names are in lower case. The outgoing
// metadata of a call's context travels, too.
func WithHeaders(headers map[string]string) Option {
	fixed := maps.Clone(headers)
	return clientOption(func(c *clientConfig) {
		c.headers = func(context.Context) (map[string]string, error) { return fixed, nil }
		c.headersProblem = checkHeaders(fixed)
	})
}

// WithHeaderFunc asks for the headers before each attempt. If it fails, so does the call, as ErrUnauthenticated.
func WithHeaderFunc(headers HeaderFunc) Option {
	return clientOption(func(c *clientConfig) { c.headers, c.headersProblem = headers, nil })
}

// WithDataset sees the stores of a dataset, by the 24 hex digits of its ObjectID. Without it, or with an empty id,
// these are the stores tied to no dataset.
func WithDataset(id string) ContextOption {
	return contextOption(func(c *contextConfig) { c.dataset = id })
}

// WithCollection names the collection on the server, if it is not the server's default.
func WithCollection(name string) ContextOption {
	return contextOption(func(c *contextConfig) { c.collection = name })
}

// WithDefaultPolicy is the policy where a setting call of a [Store] names none; never that of CompareAndSet, and never
// that of a [Service]. [Persist] unless set.
func WithDefaultPolicy(policy Policy) ContextOption {
	return contextOption(func(c *contextConfig) { c.defaultPolicy = policy })
}

// EncodingOption is an option of a client, a service, a store, and of every call that sends or reads values.
type EncodingOption struct{ encoding Encoding }

// WithEncoding says in which form values travel; [EncodingBSON] unless set.
func WithEncoding(encoding Encoding) EncodingOption { return EncodingOption{encoding} }

func (o EncodingOption) applyClient(c *clientConfig)   { c.context.encoding = o.encoding }
func (o EncodingOption) applyContext(c *contextConfig) { c.encoding = o.encoding }
func (o EncodingOption) applySet(c *setConfig)         { c.encoding = o.encoding }
func (o EncodingOption) applyRead(c *readConfig)       { c.encoding = o.encoding }
func (o EncodingOption) applyList(c *listConfig)       { c.encoding = o.encoding }
func (o EncodingOption) applyWatch(c *watchConfig)     { c.encoding = o.encoding }

// SetOption is how a key is set: [WithTTL], [WithPolicy], [WithEncoding].
type SetOption interface{ applySet(*setConfig) }

// ReadOption is how a key is read: [WithEncoding].
type ReadOption interface{ applyRead(*readConfig) }

// ListOption is what is listed, and how: [WithPrefix], [WithPageSize], [WithPageToken] and, of values, [WithEncoding].
type ListOption interface{ applyList(*listConfig) }

// CountOption is what is counted: [WithPrefix].
type CountOption interface{ applyCount(*countConfig) }

// DeleteOption is what is deleted: [IfEtag].
type DeleteOption interface{ applyDelete(*deleteConfig) }

// CreateOption is how a store is created: [WithMetadata], [WithPolicy].
type CreateOption interface{ applyCreate(*createConfig) }

type setConfig struct {
	ttl      time.Duration
	hasTTL   bool
	policy   Policy
	encoding Encoding
}

type readConfig struct{ encoding Encoding }

type listConfig struct {
	prefix    string
	pageSize  int32
	pageToken string
	encoding  Encoding
}

type countConfig struct{ prefix string }

type deleteConfig struct{ etag *string }

type createConfig struct {
	metadata any
	policy   Policy
}

// TTLOption is what WithTTL gives.
type TTLOption time.Duration

// WithTTL lets a key expire after this time: greater than 0, at most 100 years (36,525 days), rounded up to a
// millisecond by the server. It makes the policy [Evict]. Without it the key does not expire.
func WithTTL(ttl time.Duration) TTLOption { return TTLOption(ttl) }

func (o TTLOption) applySet(c *setConfig) { c.ttl, c.hasTTL = time.Duration(o), true }

// PolicyOption is what WithPolicy gives.
type PolicyOption Policy

// WithPolicy says what may happen to a key, or to a store's document; [Persist] unless set.
func WithPolicy(policy Policy) PolicyOption { return PolicyOption(policy) }

func (o PolicyOption) applySet(c *setConfig)       { c.policy = Policy(o) }
func (o PolicyOption) applyCreate(c *createConfig) { c.policy = Policy(o) }

// PrefixOption is what WithPrefix gives.
type PrefixOption string

// WithPrefix takes only keys, or names of stores, that start with it.
func WithPrefix(prefix string) PrefixOption { return PrefixOption(prefix) }

func (o PrefixOption) applyList(c *listConfig)           { c.prefix = string(o) }
func (o PrefixOption) applyCount(c *countConfig)         { c.prefix = string(o) }
func (o PrefixOption) applyWatch(c *watchConfig)         { c.keyPrefix = string(o) }
func (o PrefixOption) applySubscribe(c *subscribeConfig) { c.options = append(c.options, o) }
func (o PrefixOption) mirrorOption()                     {}

type listOption func(*listConfig)

func (o listOption) applyList(c *listConfig) { o(c) }

// WithPageSize is the most items that one request fetches: 1 to 10,000; 1,000 unless set. For iterators it is a matter
// of memory and speed only.
func WithPageSize(size int32) ListOption {
	return listOption(func(c *listConfig) { c.pageSize = size })
}

// WithPageToken goes on behind the page that had this NextToken, of the same list with the same prefix.
func WithPageToken(token string) ListOption {
	return listOption(func(c *listConfig) { c.pageToken = token })
}

type deleteOption func(*deleteConfig)

func (o deleteOption) applyDelete(c *deleteConfig) { o(c) }

// IfEtag deletes only this version of the key. An empty etag is refused, lest a missing one become "any version".
func IfEtag(etag string) DeleteOption {
	return deleteOption(func(c *deleteConfig) { c.etag = &etag })
}

type createOption func(*createConfig)

func (o createOption) applyCreate(c *createConfig) { o(c) }

// WithMetadata gives a store free data: what encoding/json makes an object of, at most 1 MiB and 30 levels. It travels
// as with [EncodingJSON].
func WithMetadata(metadata any) CreateOption {
	return createOption(func(c *createConfig) { c.metadata = metadata })
}
