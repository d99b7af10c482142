"""Client of Execution Store: keys with values, expiry, compare-and-set and watches."""

from .documents import GlobalDeletion, KeyDocument, KeyPolicy, SetEntry, SetResult, StoreDocument
from .errors import *  # noqa: F403
from .errors import __all__ as _errors
from .mirror import Mirror
from .mirror_content import MirrorChange
from .options import TlsOptions
from .retry import RetryPolicy
from .service import ExecutionStoreService
from .store import ExecutionStore
from .store_messages import StoreMessage, StoreMessageMetadata
from .values import RawValue
from .watch import Watch
from .watch_events import (
    KeyEvent,
    KeyExistingEvent,
    KeyRemovedEvent,
    KeySetEvent,
    SnapshotCompleteEvent,
    WatchEvent,
    WatchProgressEvent,
    WatchResetEvent,
    WatchStartedEvent,
)
from .watch_options import WatchRetryPolicy

__all__ = [  # noqa: PLE0604
    "ExecutionStore",
    "ExecutionStoreService",
    "GlobalDeletion",
    "KeyDocument",
    "KeyEvent",
    "KeyExistingEvent",
    "KeyPolicy",
    "KeyRemovedEvent",
    "KeySetEvent",
    "Mirror",
    "MirrorChange",
    "RawValue",
    "RetryPolicy",
    "SetEntry",
    "SetResult",
    "SnapshotCompleteEvent",
    "StoreDocument",
    "StoreMessage",
    "StoreMessageMetadata",
    "TlsOptions",
    "Watch",
    "WatchEvent",
    "WatchProgressEvent",
    "WatchResetEvent",
    "WatchRetryPolicy",
    "WatchStartedEvent",
    *_errors,
]
