"""Between the service's documents and FiftyOne's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Optional, Union

import bson
import fiftyone.core.odm as foo
from bson import ObjectId
from bson.codec_options import CodecOptions
from fiftyone.operators.store.models import KeyDocument, KeyPolicy, StoreDocument

from ..documents import KeyDocument as ServiceKeyDocument
from ..documents import StoreDocument as ServiceStoreDocument
from ..service import ExecutionStoreService
from ..values import RawValue

# What a document's expiry that has come already is written as: the shortest ttl there is.
AT_ONCE = 0.001

Ttl = Optional[Union[int, float]]


@dataclass(frozen=True)
class Conversion:
    """How values and times are read: as FiftyOne's own connection would read them.

    Attributes:
        options: pymongo's options, with the time zone of FiftyOne's configuration
    """

    options: CodecOptions[Any]

    @staticmethod
    def of_fiftyone() -> Conversion:
        """That of FiftyOne's connection, as it is configured now."""
        return Conversion(foo.get_db_conn().codec_options)

    def encode(self, value: Any) -> RawValue:
        """A value as FiftyOne would store it.

        Raises what pymongo raises for one that MongoDB has no type for.
        """
        try:
            encoded = bson.encode({"value": value}, codec_options=self.options)
        except bson.errors.InvalidDocument:
            # FiftyOne stores what dataclasses.asdict() makes: dataclasses within become dicts.
            plain = KeyDocument(store_name="", key="", value=value).to_mongo_dict()["value"]
            encoded = bson.encode({"value": plain}, codec_options=self.options)
        return RawValue(encoded)

    def decode(self, raw: RawValue) -> Any:
        """A value as FiftyOne would read it."""
        return bson.decode(raw.bson, codec_options=self.options)["value"]

    def time(self, time: datetime) -> datetime:
        """A time of the service as FiftyOne would read it: naive unless a zone is configured."""
        if not self.options.tz_aware:
            return time.replace(tzinfo=None)
        zone = self.options.tzinfo
        return time if zone is None else time.astimezone(zone)

    def optional_time(self, time: datetime | None) -> datetime | None:
        """As time(), where there may be none."""
        return None if time is None else self.time(time)

    def key_document(
        self, document: ServiceKeyDocument, dataset_id: ObjectId | None, value: Any
    ) -> KeyDocument:
        """FiftyOne's document of a key."""
        return KeyDocument(
            store_name=document.store_name,
            key=document.key,
            value=value,
            dataset_id=dataset_id,
            created_at=self.time(document.created_at),
            updated_at=self.time(document.updated_at),
            expires_at=self.optional_time(document.expires_at),
            policy=KeyPolicy(document.policy.value),
        )

    def store_document(self, document: ServiceStoreDocument) -> StoreDocument:
        """FiftyOne's document of a store.

        One that exists only through its keys has the time of now, as there.
        """
        known: dict[str, Any] = {}
        if document.created_at is not None:
            known["created_at"] = self.time(document.created_at)
        if document.policy is not None:
            known["policy"] = KeyPolicy(document.policy.value)
        return StoreDocument(
            store_name=document.store_name,
            dataset_id=None if document.dataset_id is None else ObjectId(document.dataset_id),
            value=document.metadata,
            updated_at=self.optional_time(document.updated_at),
            expires_at=self.optional_time(document.expires_at),
            **known,
        )


def in_dataset(service: ExecutionStoreService, dataset_id: object | None) -> ExecutionStoreService:
    """The service of another dataset, or of none, in the same collection."""
    return service.with_context(dataset_id, service.collection_name)


def policy_of(policy: Any, ttl: Ttl = None) -> str:
    """The policy that FiftyOne makes of the arguments of a setting call."""
    return "evict" if ttl is not None or policy == "evict" else "persist"


def ttl_of(ttl: Ttl) -> Ttl:
    """A ttl that the service takes: FiftyOne takes those that are over already, too."""
    return ttl if ttl is None or ttl > 0 else AT_ONCE
