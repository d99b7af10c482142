// Package executionstore is the Go client of Execution Store, a key-value store for operator workers.
//
// A [Client] holds one connection. A [Store] is one store of it, with values in and out; a [Service] has a method for
// every RPC of the contract. Both are cheap to make and, like the Client, safe for use by many goroutines.
//
//	client, err := executionstore.New()
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	results := client.Store("results")
//	_, err = results.Set(ctx, "image-17", Result{Width: 640}, executionstore.WithTTL(time.Hour))
//	result, err := executionstore.Get[Result](ctx, results, "image-17")
//
// # Contexts of stores
//
// Every store belongs to one dataset ([WithDataset]) or to none. The same name with two datasets names two stores.
//
// # Values
//
// Values travel as BSON, exact in every type, encoded and decoded by go.mongodb.org/mongo-driver/v2/bson with its
// rules: an int is stored as an int32 if it fits, else as an int64; time.Time as a date of whole milliseconds; []byte
// as a binary; a struct as a document, whose field names are those of the bson tags or, without one, of the json tags.
// Decoded into an any, a document is a bson.D and an array a bson.A. With [EncodingJSON] values pass through
// encoding/json instead; see there. A [RawValue] passes through untouched, for copying values in all their types.
// Reading keeps the bytes: nothing is decoded before [KeyDocument.Decode] asks for it.
//
// # Errors
//
// Every error of this package is an [*Error]. Tell errors apart with errors.Is and the sentinels, such as
// [ErrKeyNotFound], or by Error.Reason; context.Canceled and context.DeadlineExceeded match, too. status.FromError of
// the gRPC library works on all of them. For errors of writes, Error.Outcome says whether anything was written.
//
// # Time and repetition
//
// A call whose context has no deadline gets that of [WithTimeout], 30 seconds. A server that cannot be reached is tried
// again for ten seconds. Calls that fail as UNAVAILABLE after they were sent are repeated a few times within their
// time, if that is safe: reads; writes that were certainly not applied; and of unknown outcome those that may be
// applied twice. SetIfAbsent, CompareAndSet and CreateStore of unknown outcome fail instead: read what is there, then
// decide. Where a repetition happened, the answer is that of the last attempt: Created, "deleted" and counts then leave
// out what an attempt before it did, a ttl counts from the last attempt, and what another writer wrote in between is
// overwritten or deleted. See [WithRetry].
package executionstore
