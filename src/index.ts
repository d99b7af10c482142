export {
  Binary,
  BSONRegExp,
  Code,
  DBRef,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID,
} from "bson";
export type {
  CompareAndSetResult,
  GlobalDeletion,
  KeyDocument,
  KeyMetadata,
  ReadDocument,
  SetIfAbsentResult,
  SetResult,
  StoreDocument,
  ValueEncoding,
} from "./client/documents.js";
export {
  ExecutionStore,
  type ExecutionStoreOptions,
  type SubscribeOptions,
} from "./client/execution-store.js";
export type { Mirror, MirrorChange, MirrorListener, MirrorOptions } from "./client/mirror.js";
export type {
  CallOptions,
  CompareAndSetOptions,
  ConnectionOptions,
  ContextOptions,
  CreateStoreOptions,
  DeleteKeyOptions,
  Expectation,
  ListOptions,
  ListValuesOptions,
  PrefixOptions,
  ReadOptions,
  RequestHeaders,
  ServiceOptions,
  SetCacheOptions,
  SetEntry,
  SetOptions,
  TlsOptions,
} from "./client/options.js";
export type { FetchedPage, Pager } from "./client/pager.js";
export { RawValue } from "./client/raw-value.js";
export type { RetryOptions } from "./client/retry.js";
export { ExecutionStoreService } from "./client/service.js";
export type {
  OperationType,
  StoreCallback,
  StoreMessage,
  SubscriptionErrorHandler,
} from "./client/subscription.js";
export type { Watch } from "./client/watch.js";
export type {
  KeyEvent,
  KeyEventType,
  KeyExistingEvent,
  KeyIdentity,
  KeyRemovedEvent,
  KeySetEvent,
  SnapshotCompleteEvent,
  WatchEvent,
  WatchProgressEvent,
  WatchResetEvent,
  WatchStartedEvent,
} from "./client/watch-events.js";
export type {
  StoreWatchOptions,
  WatchOptions,
  WatchRetryOptions,
  WatchTuning,
} from "./client/watch-options.js";
export type { Policy } from "./store/document.js";
export {
  type ErrorDetails,
  type ErrorKind,
  type FieldViolation,
  isStoreError,
  type Outcome,
  type Reason,
  type Resource,
  StoreError,
} from "./store/errors.js";
export { DistantDate } from "./value/distant-date.js";
