package main

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

const (
	maxRequestBytes  = 17 << 20
	maxResponseBytes = 33 << 20
)

// echoPlan has the encoded messages that each method answers, by its path. A method with a stream goes on forever
// after them.
type echoPlan struct {
	Answers map[string][][]byte `json:"answers"`
	Streams map[string][][]byte `json:"streams"`
}

// asIs leaves messages encoded.
type asIs struct{}

func (asIs) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(message.([]byte))}, nil
}

func (asIs) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

func (asIs) Name() string { return "proto" }

func echo(file string) error {
	var plan echoPlan
	if err := readPlan(file, &plan); err != nil {
		return err
	}
	answer := func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		var request []byte
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		messages, endless := plan.Streams[method]
		if !endless {
			messages = plan.Answers[method]
		}
		if len(messages) == 0 {
			return fmt.Errorf("%s is not in the plan", method)
		}
		for _, message := range messages {
			if err := stream.SendMsg(message); err != nil {
				return err
			}
		}
		if endless {
			<-stream.Context().Done()
		}
		return nil
	}
	listener, err := listen()
	if err != nil {
		return err
	}
	return grpc.NewServer(
		grpc.ForceServerCodecV2(asIs{}),
		grpc.UnknownServiceHandler(answer),
		grpc.MaxRecvMsgSize(maxRequestBytes),
		grpc.MaxSendMsgSize(maxResponseBytes),
	).Serve(listener)
}
