"""Changes of stores as FiftyOne's notifications tell them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, Optional

from bson import json_util
from fiftyone.operators.message import MessageData, MessageMetadata

from ..documents import KeyDocument
from ..service import ExecutionStoreService
from .conversion import Conversion, in_dataset

# Dataset id, store and key.
Identity = tuple[Optional[str], str, str]


class StoreMessage(MessageData):  # type: ignore[misc]
    """A message that JSON can always say: what it has no form for becomes MongoDB Extended JSON."""

    def to_json(self) -> str:
        """The message as a JSON string."""
        return json.dumps(self.to_dict(), default=json_util.default)


def store_message(
    operation: str, identity: Identity, value: Any = None, time: datetime | None = None
) -> StoreMessage:
    """A message in FiftyOne's form; without a time it is that of now, as FiftyOne's own are."""
    dataset_id, _, key = identity
    metadata = MessageMetadata(
        operation_type=operation,
        dataset_id=dataset_id,
        timestamp=(time or datetime.now(timezone.utc)).isoformat(),
    )
    return StoreMessage(key=key, value=value, metadata=metadata)


def identity_of(document: KeyDocument) -> Identity:
    """Which key a document is of."""
    return document.dataset_id, document.store_name, document.key


class Ledger:
    """Which version of each key was told: what a snapshot that comes later is compared with."""

    def __init__(self) -> None:
        """Knows of nothing yet."""
        self._versions: dict[Identity, str] = {}
        self._found: set[Identity] = set()
        self._begun = False

    def begin_snapshot(self) -> None:
        """A snapshot follows."""
        self._found = set()

    def exists(self, document: KeyDocument) -> str | None:
        """A key of the snapshot: the operation to tell of; None if nothing is new."""
        identity, version = identity_of(document), _version_of(document)
        self._found.add(identity)
        known = self._versions.get(identity)
        if known == version:
            return None
        self._versions[identity] = version
        if known is not None:
            return "update"
        return "insert" if self._begun else "initial"

    def complete_snapshot(self) -> list[Identity]:
        """The snapshot is complete: the keys that are gone since the last one."""
        self._begun = True
        gone = [identity for identity in self._versions if identity not in self._found]
        for identity in gone:
            del self._versions[identity]
        return gone

    def set(self, document: KeyDocument) -> None:
        """A key was set."""
        self._versions[identity_of(document)] = _version_of(document)

    def remove(self, identity: Identity) -> bool:
        """A key is gone; whether it was known."""
        return self._versions.pop(identity, None) is not None


def _version_of(document: KeyDocument) -> str:
    # Writers past the service may leave the etag alone.
    return f"{document.etag} {document.updated_at.timestamp()}"


class Poller:
    """Finds changes by looking, where MongoDB cannot tell of them: the one of FiftyOne cannot.

    Args:
        service: of the context that is looked at
        store_name: the store that is looked at; "" for all
        all_contexts: whether every context is looked at, and not the service's alone
    """

    def __init__(self, service: ExecutionStoreService, store_name: str, all_contexts: bool) -> None:
        """Looks at nothing yet."""
        self._service = service
        self._store_name = store_name
        self._all_contexts = all_contexts
        self._conversion = Conversion.of_fiftyone()
        self._ledger = Ledger()

    def poll(self) -> Iterator[tuple[Identity, StoreMessage]]:
        """What has changed since the last time; at first all that is there, as "initial"."""
        self._ledger.begin_snapshot()
        for dataset_id, store_name in self._places():
            yield from self._poll_store(dataset_id, store_name)
        for identity in self._ledger.complete_snapshot():
            yield identity, store_message("delete", identity)

    def _places(self) -> list[tuple[str | None, str]]:
        if self._all_contexts:
            stores = self._service.list_stores_global()
            names = [(each.dataset_id, each.store_name) for each in stores]
            return [each for each in names if self._store_name in ("", each[1])]
        return [(self._service.dataset_id, self._store_name)]

    def _poll_store(
        self, dataset_id: str | None, store_name: str
    ) -> Iterator[tuple[Identity, StoreMessage]]:
        service = in_dataset(self._service, dataset_id)
        operations: dict[str, str] = {}
        for document in service.iter_values(store_name, encoding="none"):
            operation = self._ledger.exists(document)
            if operation is not None:
                operations[document.key] = operation
        documents = service.batch_get_keys(store_name, list(operations), encoding="raw")
        for key, document in documents.items():
            value = self._conversion.decode(document.value)
            identity = dataset_id, store_name, key
            yield identity, store_message(operations[key], identity, value, document.updated_at)
