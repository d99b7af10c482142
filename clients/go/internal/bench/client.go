package main

import (
	"context"
	"errors"
	"iter"

	executionstore "github.com/execution-store/execution-store/clients/go"
)

var errEnded = errors.New("the watch has ended")

// mirrorReads are so many that asking for the time between them does not count.
const mirrorReads = 1000

type client struct {
	plan    *loadPlan
	service *executionstore.Service
	read    *executionstore.Store
	write   *executionstore.Store
	awaited *executionstore.Store
	// values says whether they are decoded and encoded; else they stay bytes.
	values bool
	parsed map[string]sample
	mirror *executionstore.Mirror[sample]
	next   func() (executionstore.Event, error, bool)
}

// clientCallers make the calls of the client.
func clientCallers(server string, plan *loadPlan, values bool) (map[string]caller, error) {
	opened, err := executionstore.New(
		executionstore.WithAddress(server),
		executionstore.WithDataset(plan.DatasetID),
	)
	if err != nil {
		return nil, err
	}
	parsed, err := parsedValues(plan)
	if err != nil {
		return nil, err
	}
	c := &client{
		plan:    plan,
		service: opened.Service(),
		read:    opened.Store(plan.Stores.Read),
		write:   opened.Store(plan.Stores.Write),
		awaited: opened.Store(plan.Stores.Awaited),
		values:  values,
		parsed:  parsed,
	}
	return map[string]caller{
		"get":        c.get,
		"set":        c.set,
		"batch-get":  c.batchGet,
		"mirror":     c.readMirror,
		"catch-up":   c.catchUp,
		"round-trip": c.roundTrip,
	}, nil
}

func (c *client) get(ctx context.Context, turn int) (int, error) {
	key := c.plan.entry(turn).Key
	if c.values {
		_, err := executionstore.Get[sample](ctx, c.read, key)
		return 1, err
	}
	_, err := c.read.Get(ctx, key)
	return 1, err
}

func (c *client) setIn(ctx context.Context, store *executionstore.Store, turn int) (int, error) {
	entry := c.plan.entry(turn)
	if c.values {
		_, err := executionstore.Set(ctx, store, entry.Key, c.parsed[entry.Key])
		return 1, err
	}
	_, err := store.Set(ctx, entry.Key, executionstore.RawValue(entry.BSON))
	return 1, err
}

func (c *client) set(ctx context.Context, turn int) (int, error) { return c.setIn(ctx, c.write, turn) }

func (c *client) batchGet(ctx context.Context, _ int) (int, error) {
	found := 0
	if c.values {
		values, err := executionstore.GetMany[sample](ctx, c.read, c.plan.Batch)
		if err != nil {
			return 0, err
		}
		found = len(values)
	} else {
		documents, err := c.read.GetMany(ctx, c.plan.Batch)
		if err != nil {
			return 0, err
		}
		found = len(documents)
	}
	if found != len(c.plan.Batch) {
		return 0, errMissing
	}
	return 1, nil
}

// look decodes the value of a change, if there are to be values.
func (c *client) look(event executionstore.Event) error {
	if !c.values {
		return nil
	}
	var value sample
	return event.Document.Decode(&value)
}

func (c *client) readMirror(ctx context.Context, turn int) (int, error) {
	if c.mirror == nil {
		// It outlives this load.
		mirror := executionstore.NewMirror[sample](context.WithoutCancel(ctx), c.read)
		if err := mirror.Ready(ctx); err != nil {
			return 0, err
		}
		c.mirror = mirror
	}
	for step := range mirrorReads {
		if _, err := c.mirror.Get(c.plan.entry(turn + step).Key); err != nil {
			return 0, err
		}
	}
	return mirrorReads, nil
}

func (c *client) catchUp(ctx context.Context, _ int) (int, error) {
	watch := c.service.WatchKeys(ctx,
		executionstore.WithStore(c.plan.Stores.Changed),
		executionstore.WithResumeToken(c.plan.ResumeToken),
	)
	defer watch.Close()
	events := 0
	for event, err := range watch.Events() {
		if err != nil {
			return 0, err
		}
		if event.Document == nil {
			continue
		}
		if err := c.look(event); err != nil {
			return 0, err
		}
		if events++; events == c.plan.Changes {
			break
		}
	}
	return events, nil
}

func (c *client) roundTrip(ctx context.Context, turn int) (int, error) {
	if c.next == nil {
		// It outlives this load.
		watch := c.awaited.Watch(context.WithoutCancel(ctx))
		next, _ := iter.Pull2(watch.Events())
		if _, err, _ := next(); err != nil {
			return 0, err
		}
		c.next = next
	}
	if _, err := c.setIn(ctx, c.awaited, turn); err != nil {
		return 0, err
	}
	for {
		event, err, open := c.next()
		if err != nil {
			return 0, err
		}
		if !open {
			return 0, errEnded
		}
		if event.Document != nil {
			return 1, c.look(event)
		}
	}
}
