"""Copies the stores of a dataset when it is cloned, as FiftyOne does on its own collection."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import bson
import fiftyone.operators.store.clone as foc
from bson.codec_options import CodecOptions, DatetimeConversion

from ..documents import KeyDocument, SetEntry
from ..service import ExecutionStoreService
from ..values import RawValue
from .conversion import in_dataset, policy_of

logger = logging.getLogger(__name__)

# Every value that can be stored is read, times beyond those of Python's included.
_OPTIONS: CodecOptions[Any] = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


def clone_stores(
    service: ExecutionStoreService, source_id: str, target_id: str, id_map: dict[str, str]
) -> int:
    """Copies the stores that FiftyOne registers for cloning to another dataset.

    Values, metadata, policies and what is left of each ttl are kept, and ids in keys, values and
    metadata are replaced. ``created_at`` and ``updated_at`` are those of the copy.

    Args:
        service: whose connection and collection are used
        source_id: the dataset that is cloned, as 24 hex digits
        target_id: its clone
        id_map: the ids of the source, and what they are in the clone

    Returns:
        how many documents were copied
    """
    source = in_dataset(service, source_id)
    target = in_dataset(service, target_id)
    copied = 0
    for store_name in foc._cloneable_store_names():
        copied += _clone_document(source, target, store_name, id_map)
        entries = list(_entries(source, store_name, id_map))
        target.batch_set_keys(store_name, entries)
        copied += len(entries)
    if copied:
        logger.debug("Cloned %d documents of dataset %s to %s", copied, source_id, target_id)
    return copied


def _clone_document(
    source: ExecutionStoreService,
    target: ExecutionStoreService,
    store_name: str,
    id_map: dict[str, str],
) -> int:
    store = source.get_store(store_name)
    if store is None or store.etag is None:
        return 0
    metadata = foc._remap_ids(store.metadata, id_map)
    target.create_store(store_name, metadata, policy_of(store.policy))
    return 1


def _entries(
    source: ExecutionStoreService, store_name: str, id_map: dict[str, str]
) -> Iterator[SetEntry]:
    for document in source.iter_values(store_name, encoding="raw"):
        ttl = _remaining_ttl(document)
        if ttl is not None and ttl <= 0:
            continue
        value = bson.decode(document.value.bson, codec_options=_OPTIONS)["value"]
        remapped = bson.encode({"value": foc._remap_ids(value, id_map)}, codec_options=_OPTIONS)
        key = id_map.get(document.key, document.key)
        yield SetEntry(key, RawValue(remapped), ttl, document.policy)


def _remaining_ttl(document: KeyDocument) -> float | None:
    if document.expires_at is None:
        return None
    return (document.expires_at - datetime.now(timezone.utc)).total_seconds()
