"""The methods of the service by their names in scenarios, and answers in the notation's terms."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from execution_store import (
    KeyDocument,
    KeyEvent,
    KeyPolicy,
    KeySetEvent,
    SetEntry,
    SetResult,
    StoreDocument,
    StoreError,
)
from neutral import to_native, to_neutral

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

Invoke = Callable[..., Any]
"""Calls a method of a service, synchronous or not, by its name, and answers what it answers."""


def call(invoke: Invoke, method: str, args: dict[str, Any]) -> Any:
    """Calls a method with the arguments of a scenario, and answers in its terms."""
    arguments = dict(args)
    if method == "update_ttl":
        arguments["new_ttl"] = arguments.pop("ttl")
    for name in ("value", "expected", "metadata"):
        if name in arguments:
            arguments[name] = to_native(arguments[name])
    if method == "batch_set_keys":
        arguments["entries"] = [_entry(entry) for entry in arguments["entries"]]
    if method.startswith("list_") and "page_size" in arguments:
        # A page has a size where it is fetched while it is read.
        method = method.replace("list_", "iter_", 1)
    if method in ("set_key", "set_cache_key", "set_key_if_absent"):
        # A service writes in one form.
        arguments.pop("encoding", None)
    return answer_of(invoke(method, **arguments), with_value="value" not in args)


def _entry(entry: dict[str, Any]) -> SetEntry:
    return SetEntry(
        entry["key"],
        to_native(entry["value"]),
        ttl=entry.get("ttl"),
        policy=entry.get("policy", KeyPolicy.PERSIST),
    )


def answer_of(answer: Any, *, with_value: bool = True) -> Any:  # noqa: PLR0911 - one for each type
    """An answer in the notation's terms."""
    if isinstance(answer, KeyDocument):
        return document_of(answer, with_value=with_value)
    if isinstance(answer, StoreDocument):
        return _store_of(answer)
    if isinstance(answer, SetResult):
        document = answer.document
        return {
            "set": answer.set,
            "document": None if document is None else document_of(document, with_value=False),
        }
    if isinstance(answer, dict):
        return [document_of(document) for document in answer.values()]
    if isinstance(answer, list):
        return [answer_of(item) for item in answer]
    if answer is not None and not isinstance(answer, (bool, int, str)):
        return {"stores": answer.stores, "documents": answer.documents}
    return answer


def document_of(document: KeyDocument, *, with_value: bool = True) -> dict[str, Any]:
    """A key; a write's answer has the value that was given, which scenarios say nothing of."""
    return {
        "store_name": document.store_name,
        "key": document.key,
        **({"value": to_neutral(document.value)} if with_value else {}),
        "dataset_id": document.dataset_id,
        "created_at": _millis(document.created_at),
        "updated_at": _millis(document.updated_at),
        "expires_at": _millis(document.expires_at),
        "policy": document.policy.value,
        "etag": document.etag,
    }


def _store_of(document: StoreDocument) -> dict[str, Any]:
    return {
        "store_name": document.store_name,
        "dataset_id": document.dataset_id,
        "metadata": to_neutral(document.metadata),
        "created_at": _millis(document.created_at),
        "updated_at": _millis(document.updated_at),
        "expires_at": _millis(document.expires_at),
        "policy": None if document.policy is None else document.policy.value,
        "etag": document.etag,
    }


def event_of(event: Any) -> dict[str, Any]:
    """An event of a watch."""
    told: dict[str, Any] = {"type": event.type, "resume_token": event.resume_token}
    if not isinstance(event, KeyEvent):
        return told
    told.update(store_name=event.store_name, key=event.key, dataset_id=event.dataset_id)
    told["document"] = None if event.document is None else document_of(event.document)
    if isinstance(event, KeySetEvent) or event.type in ("deleted", "expired"):
        previous: KeyDocument | None = event.previous
        told["previous"] = None if previous is None else document_of(previous)
        told["previous_value_omitted"] = event.previous_value_omitted
        told["commit_time"] = _millis(event.commit_time)
    return told


def error_of(error: StoreError) -> dict[str, Any]:
    """An error, without the fields at fault."""
    resource = error.resource
    return {
        "status": error.code.name,
        "reason": error.reason,
        "outcome": error.outcome,
        "resource": None if resource is None else {"type": resource.type, "name": resource.name},
    }


def _millis(time: datetime | None) -> int | None:
    return None if time is None else (time - _EPOCH) // timedelta(milliseconds=1)
