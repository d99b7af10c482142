package executionstore_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

// scriptedServer is a gRPC server whose answers the test gives: for what no real server does when it is asked to.
type scriptedServer struct {
	pb.UnimplementedStoreServiceServer
	address string
	server  *grpc.Server
	// answer answers the calls but watches; number counts them from 1.
	answer  func(ctx context.Context, number int, request any) (any, error)
	watches chan *scriptedWatch

	mu    sync.Mutex
	calls int
}

// scriptedWatch is one WatchKeys call, of which the test is the server.
type scriptedWatch struct {
	request *pb.WatchKeysRequest
	headers metadata.MD
	stream  grpc.ServerStreamingServer[pb.WatchKeysResponse]
	// end holds the status that ends it.
	end  chan error
	done <-chan struct{}
}

// startScripted starts a server whose calls the test answers.
func startScripted(t *testing.T, answer func(ctx context.Context, number int, request any) (any, error)) *scriptedServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	s := &scriptedServer{address: listener.Addr().String(), answer: answer, watches: make(chan *scriptedWatch, 100)}
	s.serve(listener)
	t.Cleanup(func() { s.server.Stop() })
	return s
}

func (s *scriptedServer) serve(listener net.Listener) {
	s.server = grpc.NewServer(grpc.UnaryInterceptor(
		func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			s.mu.Lock()
			s.calls++
			number := s.calls
			s.mu.Unlock()
			return s.answer(ctx, number, request)
		}))
	pb.RegisterStoreServiceServer(s.server, s)
	go func() { _ = s.server.Serve(listener) }()
}

// count is how many calls came in, but watches.
func (s *scriptedServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// WatchKeys hands the call to the test.
func (s *scriptedServer) WatchKeys(request *pb.WatchKeysRequest, stream grpc.ServerStreamingServer[pb.WatchKeysResponse]) error {
	headers, _ := metadata.FromIncomingContext(stream.Context())
	watch := &scriptedWatch{
		request: request, headers: headers, stream: stream, end: make(chan error, 1), done: stream.Context().Done(),
	}
	s.watches <- watch
	select {
	case err := <-watch.end:
		return err
	case <-watch.done:
		return stream.Context().Err()
	}
}

// next gives the next watch that comes in.
func (s *scriptedServer) next(t *testing.T) *scriptedWatch {
	t.Helper()
	select {
	case watch := <-s.watches:
		return watch
	case <-time.After(20 * time.Second):
		t.Fatal("no watch came in")
		return nil
	}
}

func (w *scriptedWatch) send(t *testing.T, messages ...*pb.WatchKeysResponse) {
	t.Helper()
	for _, message := range messages {
		ok(t, w.stream.Send(message))
	}
}

// unavailable is an error of ours that asks for a repetition; outcome "" is that of reads.
func unavailable(outcome string, after time.Duration) error {
	details := []protoadapt.MessageV1{}
	if after > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	}
	return ourError(codes.Unavailable, "DATABASE_UNREACHABLE", map[string]string{"outcome": outcome}, details...)
}

// ourError is an error as the service sends it.
func ourError(code codes.Code, reason string, facts map[string]string, details ...protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{Domain: "execution-store", Reason: reason, Metadata: facts}
	made, err := status.New(code, "said by the server").WithDetails(append([]protoadapt.MessageV1{info}, details...)...)
	if err != nil {
		panic(err)
	}
	return made.Err()
}

func startedMessage(token string, interval time.Duration) *pb.WatchKeysResponse {
	return &pb.WatchKeysResponse{
		Kind: pb.WatchKeysResponse_KIND_STARTED, ResumeToken: token, ProgressInterval: durationpb.New(interval),
	}
}

func progressMessage(token string) *pb.WatchKeysResponse {
	return &pb.WatchKeysResponse{Kind: pb.WatchKeysResponse_KIND_PROGRESS, ResumeToken: token}
}

func eventsMessage(token string, events ...*pb.KeyEvent) *pb.WatchKeysResponse {
	return &pb.WatchKeysResponse{Kind: pb.WatchKeysResponse_KIND_EVENTS, ResumeToken: token, Events: events}
}

func snapshotMessage(events ...*pb.KeyEvent) *pb.WatchKeysResponse {
	return &pb.WatchKeysResponse{Kind: pb.WatchKeysResponse_KIND_SNAPSHOT, Events: events}
}

func completeMessage(token string) *pb.WatchKeysResponse {
	return &pb.WatchKeysResponse{Kind: pb.WatchKeysResponse_KIND_SNAPSHOT_COMPLETE, ResumeToken: token}
}

func keyEvent(kind pb.KeyEvent_Type, key, etag string) *pb.KeyEvent {
	// {"value": null}
	null := []byte{12, 0, 0, 0, 10, 'v', 'a', 'l', 'u', 'e', 0, 0}
	return &pb.KeyEvent{Type: kind, Document: &pb.KeyDocument{
		StoreName: "s", Key: key, ValueBson: null, Etag: etag, Policy: pb.KeyPolicy_KEY_POLICY_PERSIST,
	}}
}
