module github.com/execution-store/execution-store/clients/go

go 1.25.0

require (
	github.com/execution-store/execution-store/gen/go v0.0.0
	go.mongodb.org/mongo-driver/v2 v2.10.0
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260526163538-3dc84a4a5aaa
	google.golang.org/grpc v1.83.2
	google.golang.org/protobuf v1.36.12
)

require (
	golang.org/x/net v0.58.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/text v0.41.0 // indirect
)

replace github.com/execution-store/execution-store/gen/go => ../../gen/go
