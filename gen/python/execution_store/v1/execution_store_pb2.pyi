import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class KeyPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_POLICY_UNSPECIFIED: _ClassVar[KeyPolicy]
    KEY_POLICY_PERSIST: _ClassVar[KeyPolicy]
    KEY_POLICY_EVICT: _ClassVar[KeyPolicy]

class ValueEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VALUE_ENCODING_UNSPECIFIED: _ClassVar[ValueEncoding]
    VALUE_ENCODING_JSON: _ClassVar[ValueEncoding]
    VALUE_ENCODING_BSON: _ClassVar[ValueEncoding]
    VALUE_ENCODING_NONE: _ClassVar[ValueEncoding]
KEY_POLICY_UNSPECIFIED: KeyPolicy
KEY_POLICY_PERSIST: KeyPolicy
KEY_POLICY_EVICT: KeyPolicy
VALUE_ENCODING_UNSPECIFIED: ValueEncoding
VALUE_ENCODING_JSON: ValueEncoding
VALUE_ENCODING_BSON: ValueEncoding
VALUE_ENCODING_NONE: ValueEncoding

class KeyDocument(_message.Message):
    __slots__ = ("store_name", "key", "value", "value_bson", "dataset_id", "created_at", "updated_at", "expires_at", "policy", "etag")
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_BSON_FIELD_NUMBER: _ClassVar[int]
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    store_name: str
    key: str
    value: _struct_pb2.Value
    value_bson: bytes
    dataset_id: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    policy: KeyPolicy
    etag: str
    def __init__(self, store_name: _Optional[str] = ..., key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., value_bson: _Optional[bytes] = ..., dataset_id: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., policy: _Optional[_Union[KeyPolicy, str]] = ..., etag: _Optional[str] = ...) -> None: ...

class StoreDocument(_message.Message):
    __slots__ = ("store_name", "dataset_id", "metadata", "created_at", "updated_at", "expires_at", "policy", "etag")
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    store_name: str
    dataset_id: str
    metadata: _struct_pb2.Struct
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    policy: KeyPolicy
    etag: str
    def __init__(self, store_name: _Optional[str] = ..., dataset_id: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., policy: _Optional[_Union[KeyPolicy, str]] = ..., etag: _Optional[str] = ...) -> None: ...

class CreateStoreRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "metadata", "policy")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    metadata: _struct_pb2.Struct
    policy: KeyPolicy
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., policy: _Optional[_Union[KeyPolicy, str]] = ...) -> None: ...

class CreateStoreResponse(_message.Message):
    __slots__ = ("store",)
    STORE_FIELD_NUMBER: _ClassVar[int]
    store: StoreDocument
    def __init__(self, store: _Optional[_Union[StoreDocument, _Mapping]] = ...) -> None: ...

class GetStoreRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ...) -> None: ...

class GetStoreResponse(_message.Message):
    __slots__ = ("store",)
    STORE_FIELD_NUMBER: _ClassVar[int]
    store: StoreDocument
    def __init__(self, store: _Optional[_Union[StoreDocument, _Mapping]] = ...) -> None: ...

class HasStoreRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ...) -> None: ...

class HasStoreResponse(_message.Message):
    __slots__ = ("exists",)
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    exists: bool
    def __init__(self, exists: bool = ...) -> None: ...

class ListStoresRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "page_size", "page_token", "prefix")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    page_size: int
    page_token: str
    prefix: str
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., prefix: _Optional[str] = ...) -> None: ...

class ListStoresResponse(_message.Message):
    __slots__ = ("store_names", "next_page_token")
    STORE_NAMES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    store_names: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    def __init__(self, store_names: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CountStoresRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ...) -> None: ...

class CountStoresResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class DeleteStoreRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ...) -> None: ...

class DeleteStoreResponse(_message.Message):
    __slots__ = ("deleted_count",)
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    deleted_count: int
    def __init__(self, deleted_count: _Optional[int] = ...) -> None: ...

class ClearCacheRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ...) -> None: ...

class ClearCacheResponse(_message.Message):
    __slots__ = ("deleted_count",)
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    deleted_count: int
    def __init__(self, deleted_count: _Optional[int] = ...) -> None: ...

class CleanupRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ...) -> None: ...

class CleanupResponse(_message.Message):
    __slots__ = ("deleted_count",)
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    deleted_count: int
    def __init__(self, deleted_count: _Optional[int] = ...) -> None: ...

class SetKeyRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "key", "value", "value_bson", "ttl", "policy")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_BSON_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    key: str
    value: _struct_pb2.Value
    value_bson: bytes
    ttl: _duration_pb2.Duration
    policy: KeyPolicy
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., value_bson: _Optional[bytes] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., policy: _Optional[_Union[KeyPolicy, str]] = ...) -> None: ...

class SetKeyResponse(_message.Message):
    __slots__ = ("document", "created")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    document: KeyDocument
    created: bool
    def __init__(self, document: _Optional[_Union[KeyDocument, _Mapping]] = ..., created: bool = ...) -> None: ...

class SetCacheKeyRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "key", "value", "value_bson", "ttl")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_BSON_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    key: str
    value: _struct_pb2.Value
    value_bson: bytes
    ttl: _duration_pb2.Duration
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., value_bson: _Optional[bytes] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SetCacheKeyResponse(_message.Message):
    __slots__ = ("document", "created")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    document: KeyDocument
    created: bool
    def __init__(self, document: _Optional[_Union[KeyDocument, _Mapping]] = ..., created: bool = ...) -> None: ...

class SetKeyIfAbsentRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "key", "value", "value_bson", "ttl", "policy")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_BSON_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    key: str
    value: _struct_pb2.Value
    value_bson: bytes
    ttl: _duration_pb2.Duration
    policy: KeyPolicy
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., value_bson: _Optional[bytes] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., policy: _Optional[_Union[KeyPolicy, str]] = ...) -> None: ...

class SetKeyIfAbsentResponse(_message.Message):
    __slots__ = ("set", "document")
    SET_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    set: bool
    document: KeyDocument
    def __init__(self, set: bool = ..., document: _Optional[_Union[KeyDocument, _Mapping]] = ...) -> None: ...

class CompareAndSetKeyRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "key", "expected", "expected_bson", "etag", "value", "value_bson", "ttl", "policy")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_BSON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_BSON_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    key: str
    expected: _struct_pb2.Value
    expected_bson: bytes
    etag: str
    value: _struct_pb2.Value
    value_bson: bytes
    ttl: _duration_pb2.Duration
    policy: KeyPolicy
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., key: _Optional[str] = ..., expected: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., expected_bson: _Optional[bytes] = ..., etag: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., value_bson: _Optional[bytes] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., policy: _Optional[_Union[KeyPolicy, str]] = ...) -> None: ...

class CompareAndSetKeyResponse(_message.Message):
    __slots__ = ("set", "document")
    SET_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    set: bool
    document: KeyDocument
    def __init__(self, set: bool = ..., document: _Optional[_Union[KeyDocument, _Mapping]] = ...) -> None: ...

class GetKeyRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "key", "encoding")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    key: str
    encoding: ValueEncoding
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., key: _Optional[str] = ..., encoding: _Optional[_Union[ValueEncoding, str]] = ...) -> None: ...

class GetKeyResponse(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: KeyDocument
    def __init__(self, document: _Optional[_Union[KeyDocument, _Mapping]] = ...) -> None: ...

class HasKeyRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "key")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    key: str
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class HasKeyResponse(_message.Message):
    __slots__ = ("exists",)
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    exists: bool
    def __init__(self, exists: bool = ...) -> None: ...

class DeleteKeyRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "key", "etag")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    key: str
    etag: str
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., key: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class DeleteKeyResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: bool
    def __init__(self, deleted: bool = ...) -> None: ...

class UpdateTtlRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "key", "ttl")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    key: str
    ttl: _duration_pb2.Duration
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., key: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class UpdateTtlResponse(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: KeyDocument
    def __init__(self, document: _Optional[_Union[KeyDocument, _Mapping]] = ...) -> None: ...

class UpdatePolicyRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "key", "policy")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    key: str
    policy: KeyPolicy
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., key: _Optional[str] = ..., policy: _Optional[_Union[KeyPolicy, str]] = ...) -> None: ...

class UpdatePolicyResponse(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: KeyDocument
    def __init__(self, document: _Optional[_Union[KeyDocument, _Mapping]] = ...) -> None: ...

class ListKeysRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "page_size", "page_token", "prefix")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    page_size: int
    page_token: str
    prefix: str
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., prefix: _Optional[str] = ...) -> None: ...

class ListKeysResponse(_message.Message):
    __slots__ = ("keys", "next_page_token")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    def __init__(self, keys: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListValuesRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "page_size", "page_token", "prefix", "encoding")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    page_size: int
    page_token: str
    prefix: str
    encoding: ValueEncoding
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., prefix: _Optional[str] = ..., encoding: _Optional[_Union[ValueEncoding, str]] = ...) -> None: ...

class ListValuesResponse(_message.Message):
    __slots__ = ("documents", "next_page_token")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[KeyDocument]
    next_page_token: str
    def __init__(self, documents: _Optional[_Iterable[_Union[KeyDocument, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CountKeysRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "prefix")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    prefix: str
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., prefix: _Optional[str] = ...) -> None: ...

class CountKeysResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class BatchGetKeysRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "keys", "encoding")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    keys: _containers.RepeatedScalarFieldContainer[str]
    encoding: ValueEncoding
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., keys: _Optional[_Iterable[str]] = ..., encoding: _Optional[_Union[ValueEncoding, str]] = ...) -> None: ...

class BatchGetKeysResponse(_message.Message):
    __slots__ = ("documents", "missing_keys", "unprocessed_keys")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    MISSING_KEYS_FIELD_NUMBER: _ClassVar[int]
    UNPROCESSED_KEYS_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[KeyDocument]
    missing_keys: _containers.RepeatedScalarFieldContainer[str]
    unprocessed_keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, documents: _Optional[_Iterable[_Union[KeyDocument, _Mapping]]] = ..., missing_keys: _Optional[_Iterable[str]] = ..., unprocessed_keys: _Optional[_Iterable[str]] = ...) -> None: ...

class BatchSetKeysRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "entries")
    class Entry(_message.Message):
        __slots__ = ("key", "value", "value_bson", "ttl", "policy")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        VALUE_BSON_FIELD_NUMBER: _ClassVar[int]
        TTL_FIELD_NUMBER: _ClassVar[int]
        POLICY_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.Value
        value_bson: bytes
        ttl: _duration_pb2.Duration
        policy: KeyPolicy
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., value_bson: _Optional[bytes] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., policy: _Optional[_Union[KeyPolicy, str]] = ...) -> None: ...
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    entries: _containers.RepeatedCompositeFieldContainer[BatchSetKeysRequest.Entry]
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., entries: _Optional[_Iterable[_Union[BatchSetKeysRequest.Entry, _Mapping]]] = ...) -> None: ...

class BatchSetKeysResponse(_message.Message):
    __slots__ = ("results",)
    class Result(_message.Message):
        __slots__ = ("document", "created")
        DOCUMENT_FIELD_NUMBER: _ClassVar[int]
        CREATED_FIELD_NUMBER: _ClassVar[int]
        document: KeyDocument
        created: bool
        def __init__(self, document: _Optional[_Union[KeyDocument, _Mapping]] = ..., created: bool = ...) -> None: ...
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[BatchSetKeysResponse.Result]
    def __init__(self, results: _Optional[_Iterable[_Union[BatchSetKeysResponse.Result, _Mapping]]] = ...) -> None: ...

class BatchDeleteKeysRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "keys")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., keys: _Optional[_Iterable[str]] = ...) -> None: ...

class BatchDeleteKeysResponse(_message.Message):
    __slots__ = ("deleted_count",)
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    deleted_count: int
    def __init__(self, deleted_count: _Optional[int] = ...) -> None: ...

class HasStoreGlobalRequest(_message.Message):
    __slots__ = ("collection_name", "store_name")
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    collection_name: str
    store_name: str
    def __init__(self, collection_name: _Optional[str] = ..., store_name: _Optional[str] = ...) -> None: ...

class HasStoreGlobalResponse(_message.Message):
    __slots__ = ("exists",)
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    exists: bool
    def __init__(self, exists: bool = ...) -> None: ...

class ListStoresGlobalRequest(_message.Message):
    __slots__ = ("collection_name", "page_size", "page_token", "prefix")
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    collection_name: str
    page_size: int
    page_token: str
    prefix: str
    def __init__(self, collection_name: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., prefix: _Optional[str] = ...) -> None: ...

class ListStoresGlobalResponse(_message.Message):
    __slots__ = ("stores", "next_page_token")
    STORES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    stores: _containers.RepeatedCompositeFieldContainer[StoreDocument]
    next_page_token: str
    def __init__(self, stores: _Optional[_Iterable[_Union[StoreDocument, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CountStoresGlobalRequest(_message.Message):
    __slots__ = ("collection_name",)
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    collection_name: str
    def __init__(self, collection_name: _Optional[str] = ...) -> None: ...

class CountStoresGlobalResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class DeleteStoreGlobalRequest(_message.Message):
    __slots__ = ("collection_name", "store_name")
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    collection_name: str
    store_name: str
    def __init__(self, collection_name: _Optional[str] = ..., store_name: _Optional[str] = ...) -> None: ...

class DeleteStoreGlobalResponse(_message.Message):
    __slots__ = ("deleted_store_count", "deleted_count")
    DELETED_STORE_COUNT_FIELD_NUMBER: _ClassVar[int]
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    deleted_store_count: int
    deleted_count: int
    def __init__(self, deleted_store_count: _Optional[int] = ..., deleted_count: _Optional[int] = ...) -> None: ...

class WatchKeysRequest(_message.Message):
    __slots__ = ("dataset_id", "collection_name", "store_name", "all_contexts", "key", "key_prefix", "snapshot", "resume_token", "event_types", "encoding", "include_previous", "progress_interval")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_NAME_FIELD_NUMBER: _ClassVar[int]
    ALL_CONTEXTS_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    KEY_PREFIX_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPES_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    collection_name: str
    store_name: str
    all_contexts: bool
    key: str
    key_prefix: str
    snapshot: bool
    resume_token: str
    event_types: _containers.RepeatedScalarFieldContainer[KeyEvent.Type]
    encoding: ValueEncoding
    include_previous: bool
    progress_interval: _duration_pb2.Duration
    def __init__(self, dataset_id: _Optional[str] = ..., collection_name: _Optional[str] = ..., store_name: _Optional[str] = ..., all_contexts: bool = ..., key: _Optional[str] = ..., key_prefix: _Optional[str] = ..., snapshot: bool = ..., resume_token: _Optional[str] = ..., event_types: _Optional[_Iterable[_Union[KeyEvent.Type, str]]] = ..., encoding: _Optional[_Union[ValueEncoding, str]] = ..., include_previous: bool = ..., progress_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchKeysResponse(_message.Message):
    __slots__ = ("kind", "events", "resume_token", "progress_interval")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[WatchKeysResponse.Kind]
        KIND_STARTED: _ClassVar[WatchKeysResponse.Kind]
        KIND_SNAPSHOT: _ClassVar[WatchKeysResponse.Kind]
        KIND_SNAPSHOT_COMPLETE: _ClassVar[WatchKeysResponse.Kind]
        KIND_EVENTS: _ClassVar[WatchKeysResponse.Kind]
        KIND_PROGRESS: _ClassVar[WatchKeysResponse.Kind]
    KIND_UNSPECIFIED: WatchKeysResponse.Kind
    KIND_STARTED: WatchKeysResponse.Kind
    KIND_SNAPSHOT: WatchKeysResponse.Kind
    KIND_SNAPSHOT_COMPLETE: WatchKeysResponse.Kind
    KIND_EVENTS: WatchKeysResponse.Kind
    KIND_PROGRESS: WatchKeysResponse.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    kind: WatchKeysResponse.Kind
    events: _containers.RepeatedCompositeFieldContainer[KeyEvent]
    resume_token: str
    progress_interval: _duration_pb2.Duration
    def __init__(self, kind: _Optional[_Union[WatchKeysResponse.Kind, str]] = ..., events: _Optional[_Iterable[_Union[KeyEvent, _Mapping]]] = ..., resume_token: _Optional[str] = ..., progress_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class KeyEvent(_message.Message):
    __slots__ = ("type", "document", "previous", "previous_value_omitted", "commit_time", "document_looked_up")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[KeyEvent.Type]
        TYPE_EXISTING: _ClassVar[KeyEvent.Type]
        TYPE_CREATED: _ClassVar[KeyEvent.Type]
        TYPE_UPDATED: _ClassVar[KeyEvent.Type]
        TYPE_DELETED: _ClassVar[KeyEvent.Type]
        TYPE_EXPIRED: _ClassVar[KeyEvent.Type]
    TYPE_UNSPECIFIED: KeyEvent.Type
    TYPE_EXISTING: KeyEvent.Type
    TYPE_CREATED: KeyEvent.Type
    TYPE_UPDATED: KeyEvent.Type
    TYPE_DELETED: KeyEvent.Type
    TYPE_EXPIRED: KeyEvent.Type
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VALUE_OMITTED_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_LOOKED_UP_FIELD_NUMBER: _ClassVar[int]
    type: KeyEvent.Type
    document: KeyDocument
    previous: KeyDocument
    previous_value_omitted: bool
    commit_time: _timestamp_pb2.Timestamp
    document_looked_up: bool
    def __init__(self, type: _Optional[_Union[KeyEvent.Type, str]] = ..., document: _Optional[_Union[KeyDocument, _Mapping]] = ..., previous: _Optional[_Union[KeyDocument, _Mapping]] = ..., previous_value_omitted: bool = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., document_looked_up: bool = ...) -> None: ...
