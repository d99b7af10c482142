"""What watches send, tell and refuse, whoever the server is."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import scripted_watch as say
from execution_store import (
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    KeyEvent,
    KeyExistingEvent,
    KeyRemovedEvent,
    KeySetEvent,
    RawValue,
    WatchStartedEvent,
)
from execution_store.v1 import execution_store_pb2 as pb
from scripted_watch import ScriptedWatches
from store_server import until
from watch_worlds import InBackground, Reader, SyncWorld

OpenWatch = Callable[..., Reader]


class TestRequest:
    def test_is_the_context_by_default(self, watch: OpenWatch, watches: ScriptedWatches) -> None:
        reader = watch()
        reader.next(0)
        expected = pb.WatchKeysRequest(encoding=pb.VALUE_ENCODING_BSON)
        assert watches.call(0).request == expected

    def test_travels(self, world: SyncWorld, watches: ScriptedWatches) -> None:
        service = world.service(watches.address, dataset_id="A" * 24, collection_name="other")
        reader = Reader(
            world,
            service.watch_keys(
                "jobs",
                key_prefix="a/",
                resume_token="t1",
                event_types=["created", "expired"],
                encoding="none",
                include_previous=True,
                progress_interval=timedelta(milliseconds=2500),
            ),
        )
        assert reader.resume_token == "t1"
        reader.next(0)
        request = watches.call(0).request
        assert request.dataset_id == "a" * 24
        assert (request.collection_name, request.store_name) == ("other", "jobs")
        assert (request.key_prefix, request.HasField("key")) == ("a/", False)
        assert (request.resume_token, request.snapshot) == ("t1", False)
        assert list(request.event_types) == [
            pb.KeyEvent.TYPE_CREATED,
            pb.KeyEvent.TYPE_EXPIRED,
        ]
        assert request.encoding == pb.VALUE_ENCODING_NONE
        assert request.include_previous
        interval = request.progress_interval
        assert (interval.seconds, interval.nanos) == (2, 500_000_000)

    def test_of_a_store_has_its_name(self, world: SyncWorld, watches: ScriptedWatches) -> None:
        store = world.store(world.service(watches.address))
        reader = Reader(world, store.watch(key="a", snapshot=True))
        reader.next(0)
        request = watches.call(0).request
        assert (request.store_name, request.key, request.snapshot) == ("jobs", "a", True)

    @pytest.mark.parametrize(
        ("arguments", "reason", "field"),
        [
            ({"store_name": ""}, "STORE_NAME_INVALID", "store_name"),
            ({"store_name": 5}, "STORE_NAME_INVALID", "store_name"),
            ({"key": "\ud800"}, "KEY_INVALID", "key"),
            ({"key": 5}, "KEY_INVALID", "key"),
            ({"key_prefix": b"x"}, "PREFIX_INVALID", "key_prefix"),
            ({"resume_token": ""}, "RESUME_TOKEN_INVALID", "resume_token"),
            ({"event_types": []}, "EVENT_TYPE_INVALID", "event_types"),
            ({"event_types": ["created", "x"]}, "EVENT_TYPE_INVALID", "event_types[1]"),
            ({"event_types": "created, updated"}, "EVENT_TYPE_INVALID", "event_types[0]"),
            ({"progress_interval": 0}, "PROGRESS_INTERVAL_INVALID", "progress_interval"),
            ({"progress_interval": float("nan")}, "PROGRESS_INTERVAL_INVALID", "progress_interval"),
            ({"progress_interval": float("inf")}, "PROGRESS_INTERVAL_INVALID", "progress_interval"),
            ({"progress_interval": "1"}, "PROGRESS_INTERVAL_INVALID", "progress_interval"),
            ({"encoding": "xml"}, "ENCODING_INVALID", "encoding"),
            ({"buffer_events": 0}, "CLIENT_OPTION_INVALID", "buffer_events"),
            ({"buffer_bytes": None}, "CLIENT_OPTION_INVALID", "buffer_bytes"),
            ({"on_history_lost": "throw"}, "CLIENT_OPTION_INVALID", "on_history_lost"),
            ({"retry": False}, "CLIENT_OPTION_INVALID", "retry"),
        ],
    )
    def test_that_cannot_be_sent_is_refused_at_once(
        self, peer: Any, arguments: dict[str, Any], reason: str, field: str
    ) -> None:
        with pytest.raises(InvalidArgumentError) as caught:
            peer.watch_keys(**arguments)
        assert caught.value.reason == reason
        assert caught.value.violations[0].field == field


class TestEvents:
    def test_come_in_order_with_the_token_on_the_last_of_a_message(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch()
        reader.next(0)
        call = watches.call(0)
        call.send(say.started("t0"))
        call.send(say.events("t1", say.created("a"), say.updated("a"), say.deleted("a")))
        call.send(say.events("t2", say.expired("b"), say.created("b")))
        call.send(say.progress("t3"))
        assert reader.take(7) == [
            "started @t0",
            "created a",
            "updated a",
            "deleted a @t1",
            "expired b",
            "created b @t2",
            "progress @t3",
        ]

    def test_of_a_snapshot_have_no_token_before_it_is_complete(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch(snapshot=True)
        reader.next(0)
        call = watches.call(0)
        call.send(say.started(), say.snapshot(say.existing("a"), say.existing("b")))
        assert reader.take(3) == ["started", "existing a", "existing b"]
        assert reader.resume_token is None
        call.send(say.complete("t1"))
        assert reader.take(1) == ["snapshot_complete @t1"]
        assert reader.resume_token == "t1"

    def test_are_objects_with_the_fields_of_their_kind(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch(snapshot=True, include_previous=True)
        reader.next(0)
        call = watches.call(0)
        change = say.updated("a", {"x": 2})
        change.previous.CopyFrom(say.document("a", {"x": 1}))
        change.document_looked_up = True
        gone = say.deleted("a")
        gone.document.dataset_id = "a" * 24
        gone.previous.CopyFrom(say.document("a", 2))
        gone.previous.ClearField("value_bson")
        gone.previous_value_omitted = True
        call.send(say.started(interval=2.5), say.snapshot(say.existing("a", [1])))
        call.send(say.complete("t1"), say.events("t2", change, gone))
        start, existing, _, updated, deleted = reader.events(5)
        assert isinstance(start, WatchStartedEvent)
        assert start.progress_interval == 2.5
        assert isinstance(existing, KeyExistingEvent)
        assert existing.document.value == [1]
        assert isinstance(updated, KeySetEvent)
        assert (updated.store_name, updated.key, updated.dataset_id) == ("jobs", "a", None)
        assert updated.document.value == {"x": 2}
        assert updated.document_looked_up
        assert updated.previous is not None
        assert updated.previous.value == {"x": 1}
        assert updated.commit_time.timestamp() == 1_700_000_000
        assert isinstance(deleted, KeyRemovedEvent)
        assert isinstance(deleted, KeyEvent)
        assert (deleted.dataset_id, deleted.document) == ("a" * 24, None)
        assert deleted.previous_value_omitted
        assert deleted.previous is not None
        assert (deleted.previous.etag, deleted.previous.value) == ("e1", None)

    def test_are_copied_and_compared_whole(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch(include_previous=True)
        reader.next(0)
        change, gone = say.updated("a", {"x": 2}), say.deleted("a")
        for sent in (change, gone):
            sent.previous.CopyFrom(say.document("a", {"x": 1}))
        watches.call(0).send(say.started("t0"), say.events("t1", change, gone))
        for event in reader.events(3)[1:]:
            copied = pickle.loads(pickle.dumps(event))
            assert copied == copy.deepcopy(event) == event
            assert isinstance(copied, (KeySetEvent, KeyRemovedEvent))
            assert copied.previous is not None
            assert (copied.previous.value, copied.key) == ({"x": 1}, "a")
            assert "commit_time=datetime" in repr(event)
            with pytest.raises(AttributeError, match="no attribute 'colour'"):
                event.colour  # type: ignore[union-attr]  # noqa: B018

    def test_have_values_in_the_form_that_was_asked_for(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        for index, encoding in enumerate(("raw", "none")):
            reader = watch(encoding=encoding)
            reader.next(0)
            sent = say.created("a", 1)
            watches.call(index).send(say.started("t0"), say.events("t1", sent))
            event = reader.events(2)[1]
            assert isinstance(event, KeyEvent)
            assert event.document is not None
            raw = RawValue(sent.document.value_bson)
            assert event.document.value == (raw if encoding == "raw" else None)

    @pytest.mark.parametrize(
        "message",
        [
            pb.WatchKeysResponse(resume_token="t"),
            pb.WatchKeysResponse(kind=9, resume_token="t"),
            pb.WatchKeysResponse(kind=pb.WatchKeysResponse.KIND_STARTED, resume_token="t"),
            say.progress(""),
            say.events("", say.created("a")),
            say.events("t", pb.KeyEvent(type=9, document=say.document("a"), commit_time=say.AT)),
            say.events("t", pb.KeyEvent(type=pb.KeyEvent.TYPE_DELETED, commit_time=say.AT)),
            say.events("t", pb.KeyEvent(type=pb.KeyEvent.TYPE_CREATED, document=say.document("a"))),
        ],
    )
    def test_that_break_the_contract_end_the_watch(
        self, watch: OpenWatch, watches: ScriptedWatches, message: pb.WatchKeysResponse
    ) -> None:
        reader = watch()
        reader.next(0)
        watches.call(0).send(message)
        with pytest.raises(InternalError) as caught:
            reader.next()
        assert caught.value.outcome is None
        assert reader.next() is None
        assert len(watches.calls) == 1

    def test_wait_no_longer_than_they_may(self, watch: OpenWatch, watches: ScriptedWatches) -> None:
        reader = watch()
        assert reader.next(0) is None
        assert reader.next(0.01) is None
        assert not reader.watch.closed
        watches.call(0).send(say.started("t0"))
        assert reader.take(1) == ["started @t0"]
        assert reader.next(0) is None

    def test_come_to_one_of_several_readers_each(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch()
        reader.next(0)
        readers = [InBackground(lambda: [reader.next() for _ in range(100)]) for _ in range(4)]
        keys = [f"k{number:03}" for number in range(399)]
        call = watches.call(0)
        call.send(say.started("t0"))
        call.send(*(say.events(f"t{key}", say.created(key)) for key in keys))
        taken = [event for each in readers for event in each.result()]
        assert sorted(event.key for event in taken if isinstance(event, KeyEvent)) == keys


class TestEnd:
    def test_by_close_cancels_the_call_and_ends_reads_under_way(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch()
        reading = InBackground(reader.next)
        call = watches.call(0)
        reader.close()
        reader.close()
        assert reading.result() is None
        assert call.cancelled.wait(10)
        assert reader.watch.closed
        assert reader.next() is None

    def test_by_close_drops_what_waits(self, watch: OpenWatch, watches: ScriptedWatches) -> None:
        reader = watch()
        reader.next(0)
        watches.call(0).send(say.started("t0"), *[say.progress(f"t{n}") for n in range(9)])
        assert reader.take(1) == ["started @t0"]
        reader.close()
        assert reader.next() is None
        assert reader.resume_token == "t0"

    def test_by_close_before_the_first_read_sends_nothing(
        self, world: SyncWorld, peer: Any, watches: ScriptedWatches
    ) -> None:
        reader = Reader(world, peer.watch_keys())
        reader.close()
        assert reader.next() is None
        assert watches.calls == []

    def test_by_the_services_close_is_no_error(
        self, world: SyncWorld, watches: ScriptedWatches
    ) -> None:
        service = world.service(watches.address)
        reader = Reader(world, service.watch_keys())
        reading = InBackground(reader.next)
        call = watches.call(0)
        world.run(service.close())
        assert reading.result() is None
        assert call.cancelled.wait(10)
        late = Reader(world, service.watch_keys())
        with pytest.raises(FailedPreconditionError) as caught:
            late.next()
        assert caught.value.reason == "CLIENT_CLOSED"
        assert late.next() is None
        assert late.watch.closed

    def test_by_the_services_close_between_two_connections(
        self, world: SyncWorld, watches: ScriptedWatches
    ) -> None:
        service = world.service(watches.address)
        reader = Reader(world, service.watch_keys())
        reading = InBackground(reader.next)
        watches.call(0).end(retry_after=60)
        until(lambda: watches.calls[0].cancelled.is_set(), "the first call has ended")
        world.run(service.close())
        assert reading.result() is None

    def test_by_an_error_comes_after_what_was_told_and_once(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch()
        reader.next(0)
        call = watches.call(0)
        call.send(say.started("t0"), say.events("t1", say.created("a")))
        call.end(say.grpc.StatusCode.INVALID_ARGUMENT, "RESUME_TOKEN_INVALID")
        assert reader.take(2) == ["started @t0", "created a @t1"]
        with pytest.raises(InvalidArgumentError) as caught:
            reader.next()
        assert caught.value.reason == "RESUME_TOKEN_INVALID"
        # It has come of nothing but what the server has said.
        assert caught.value.__context__ is None
        assert reader.next() is None
        assert reader.watch.closed

    def test_comes_when_nobody_holds_the_watch(
        self, world: SyncWorld, peer: Any, watches: ScriptedWatches
    ) -> None:
        reader = Reader(world, peer.watch_keys())
        reader.next(0)
        call = watches.call(0)
        call.send(say.started("t0"))
        reader.take(1)
        del reader
        gc.collect()
        assert call.cancelled.wait(10)

    def test_leaves_no_thread_behind(self, watch: OpenWatch, watches: ScriptedWatches) -> None:
        readers = [watch() for _ in range(5)]
        for reader in readers:
            reader.next(0)
        watches.call(4)
        for reader in readers:
            reader.close()
        until(lambda: not watch_threads(), "the threads have ended")


def watch_threads() -> list[str]:
    return [
        thread.name
        for thread in threading.enumerate()
        if thread.name.startswith("execution-store-")
    ]
