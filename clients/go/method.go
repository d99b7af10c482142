package executionstore

import (
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	pb "github.com/execution-store/execution-store/gen/go/execution_store/v1"
)

// method is what the contract says of an RPC.
type method struct {
	name string
	path string
	// writes is false for methods without side effects.
	writes bool
	// repeatable is false where a repetition may have another effect than one call.
	repeatable bool
}

var (
	createStore       = methodOf("CreateStore")
	getStore          = methodOf("GetStore")
	hasStore          = methodOf("HasStore")
	listStores        = methodOf("ListStores")
	countStores       = methodOf("CountStores")
	deleteStore       = methodOf("DeleteStore")
	clearCache        = methodOf("ClearCache")
	cleanup           = methodOf("Cleanup")
	setKey            = methodOf("SetKey")
	setCacheKey       = methodOf("SetCacheKey")
	setKeyIfAbsent    = methodOf("SetKeyIfAbsent")
	compareAndSetKey  = methodOf("CompareAndSetKey")
	getKey            = methodOf("GetKey")
	hasKey            = methodOf("HasKey")
	deleteKey         = methodOf("DeleteKey")
	updateTTL         = methodOf("UpdateTtl")
	updatePolicy      = methodOf("UpdatePolicy")
	listKeys          = methodOf("ListKeys")
	listValues        = methodOf("ListValues")
	countKeys         = methodOf("CountKeys")
	batchGetKeys      = methodOf("BatchGetKeys")
	batchSetKeys      = methodOf("BatchSetKeys")
	batchDeleteKeys   = methodOf("BatchDeleteKeys")
	hasStoreGlobal    = methodOf("HasStoreGlobal")
	listStoresGlobal  = methodOf("ListStoresGlobal")
	countStoresGlobal = methodOf("CountStoresGlobal")
	deleteStoreGlobal = methodOf("DeleteStoreGlobal")
	// A watch changes nothing, although the contract, which tells of calls that may be sent twice, does not mark it.
	watchKeys = &method{name: "WatchKeys", path: pb.StoreService_WatchKeys_FullMethodName}
)

// methodOf reads what may be repeated out of the contract, so that no table here can differ from it.
func methodOf(name protoreflect.Name) *method {
	service := pb.File_execution_store_v1_execution_store_proto.Services().ByName("StoreService")
	descriptor := service.Methods().ByName(name)
	options, _ := descriptor.Options().(*descriptorpb.MethodOptions)
	level := options.GetIdempotencyLevel()
	return &method{
		name:       string(name),
		path:       "/" + string(service.FullName()) + "/" + string(name),
		writes:     level != descriptorpb.MethodOptions_NO_SIDE_EFFECTS,
		repeatable: level != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN,
	}
}
