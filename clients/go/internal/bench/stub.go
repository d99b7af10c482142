package main

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

var errMissing = errors.New("a key is missing")

type stub struct {
	pb.StoreServiceClient
	plan    *loadPlan
	values  bool
	parsed  map[string]sample
	awaited pb.StoreService_WatchKeysClient
}

// stubCallers make the calls of the generated stub, with values of the bson package or, bare, with ready bytes that
// nothing looks into.
func stubCallers(server string, plan *loadPlan, values bool) (map[string]caller, error) {
	connection, err := grpc.NewClient(server,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxResponseBytes)),
	)
	if err != nil {
		return nil, err
	}
	parsed, err := parsedValues(plan)
	if err != nil {
		return nil, err
	}
	s := &stub{StoreServiceClient: pb.NewStoreServiceClient(connection), plan: plan, values: values, parsed: parsed}
	return map[string]caller{
		"get":        s.get,
		"set":        s.set,
		"batch-get":  s.batchGet,
		"catch-up":   s.catchUp,
		"round-trip": s.roundTrip,
	}, nil
}

func (s *stub) get(ctx context.Context, turn int) (int, error) {
	answer, err := s.GetKey(ctx, &pb.GetKeyRequest{
		DatasetId: s.plan.DatasetID,
		StoreName: s.plan.Stores.Read,
		Key:       s.plan.entry(turn).Key,
		Encoding:  pb.ValueEncoding_VALUE_ENCODING_BSON,
	})
	if err != nil {
		return 0, err
	}
	if answer.GetDocument() == nil {
		return 0, errMissing
	}
	return 1, s.look(answer.GetDocument())
}

// look decodes a value, if there are to be values.
func (s *stub) look(document *pb.KeyDocument) error {
	if !s.values {
		return nil
	}
	var value valueDocument
	return bson.Unmarshal(document.GetValueBson(), &value)
}

func (s *stub) setIn(ctx context.Context, store string, turn int) (int, error) {
	entry := s.plan.entry(turn)
	encoded := entry.BSON
	if s.values {
		var err error
		if encoded, err = bson.Marshal(valueDocument{s.parsed[entry.Key]}); err != nil {
			return 0, err
		}
	}
	_, err := s.SetKey(ctx, &pb.SetKeyRequest{
		DatasetId: s.plan.DatasetID,
		StoreName: store,
		Key:       entry.Key,
		ValueBson: encoded,
		Policy:    pb.KeyPolicy_KEY_POLICY_PERSIST,
	})
	return 1, err
}

func (s *stub) set(ctx context.Context, turn int) (int, error) {
	return s.setIn(ctx, s.plan.Stores.Write, turn)
}

func (s *stub) batchGet(ctx context.Context, _ int) (int, error) {
	answer, err := s.BatchGetKeys(ctx, &pb.BatchGetKeysRequest{
		DatasetId: s.plan.DatasetID,
		StoreName: s.plan.Stores.Read,
		Keys:      s.plan.Batch,
		Encoding:  pb.ValueEncoding_VALUE_ENCODING_BSON,
	})
	if err != nil {
		return 0, err
	}
	if len(answer.GetDocuments()) != len(s.plan.Batch) {
		return 0, errMissing
	}
	for _, document := range answer.GetDocuments() {
		if err := s.look(document); err != nil {
			return 0, err
		}
	}
	return 1, nil
}

func (s *stub) watch(ctx context.Context, store, token string) (pb.StoreService_WatchKeysClient, error) {
	return s.WatchKeys(ctx, &pb.WatchKeysRequest{
		DatasetId:   s.plan.DatasetID,
		StoreName:   store,
		ResumeToken: token,
		Encoding:    pb.ValueEncoding_VALUE_ENCODING_BSON,
	})
}

func (s *stub) catchUp(ctx context.Context, _ int) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.watch(ctx, s.plan.Stores.Changed, s.plan.ResumeToken)
	if err != nil {
		return 0, err
	}
	events := 0
	for events < s.plan.Changes {
		message, err := stream.Recv()
		if err != nil {
			return 0, fmt.Errorf("after %d events: %w", events, err)
		}
		for _, event := range message.GetEvents() {
			if err := s.look(event.GetDocument()); err != nil {
				return 0, err
			}
			events++
		}
	}
	return events, nil
}

func (s *stub) roundTrip(ctx context.Context, turn int) (int, error) {
	if s.awaited == nil {
		// It outlives this load.
		stream, err := s.watch(context.WithoutCancel(ctx), s.plan.Stores.Awaited, "")
		if err != nil {
			return 0, err
		}
		if _, err := stream.Recv(); err != nil {
			return 0, err
		}
		s.awaited = stream
	}
	if _, err := s.setIn(ctx, s.plan.Stores.Awaited, turn); err != nil {
		return 0, err
	}
	for {
		message, err := s.awaited.Recv()
		if err != nil {
			return 0, err
		}
		for _, event := range message.GetEvents() {
			return 1, s.look(event.GetDocument())
		}
	}
}
