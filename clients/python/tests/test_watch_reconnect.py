"""How watches go on when a connection ends, as far as a scripted server has to say so."""

from __future__ import annotations

import time
from collections.abc import Callable

import grpc
import pytest

import scripted_watch as say
from execution_store import (
    HistoryLostError,
    StoreError,
    UnavailableError,
    WatchResetEvent,
)
from execution_store.watch_buffer import EventBuffer
from scripted_watch import ScriptedWatches
from store_server import until
from watch_worlds import LIMIT, SOON, InBackground, Reader, SyncWorld, brief

OpenWatch = Callable[..., Reader]
LOST = (grpc.StatusCode.OUT_OF_RANGE, "HISTORY_LOST")


class TestInterruption:
    def test_is_followed_by_a_connection_that_goes_on_behind_the_last_message(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch("jobs", key_prefix="a")
        told = InBackground(lambda: reader.take(5))
        first = watches.call(0)
        first.send(say.started("t0"), say.events("t1", say.created("a"), say.created("ab")))
        # The token of an error may be that of a message which was lost on its way.
        first.end(resume_token="t7")
        second = watches.call(1)
        assert second.request.resume_token == "t1"
        assert second.request.key_prefix == "a"
        second.send(say.started("t1"), say.progress("t2"))
        assert told.result() == [
            "started @t0",
            "created a",
            "created ab @t1",
            "started @t1",
            "progress @t2",
        ]

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            (grpc.StatusCode.RESOURCE_EXHAUSTED, "WATCH_TOO_SLOW"),
            (grpc.StatusCode.RESOURCE_EXHAUSTED, "DATABASE_BUSY"),
            (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNREACHABLE"),
            (grpc.StatusCode.UNAVAILABLE, None),
            (grpc.StatusCode.CANCELLED, None),
            (grpc.StatusCode.INTERNAL, None),
            (grpc.StatusCode.UNKNOWN, None),
            (grpc.StatusCode.RESOURCE_EXHAUSTED, None),
        ],
    )
    def test_passes_by_itself(
        self,
        watch: OpenWatch,
        watches: ScriptedWatches,
        code: grpc.StatusCode,
        reason: str | None,
    ) -> None:
        reader = watch()
        told = InBackground(lambda: reader.take(2))
        first = watches.call(0)
        first.send(say.started("t0"))
        first.end(code, reason)
        watches.call(1).send(say.started("t0"))
        assert told.result() == ["started @t0", "started @t0"]

    @pytest.mark.parametrize(
        ("code", "reason", "text"),
        [
            (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL", "full"),
            (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                None,
                "CLIENT: Received message larger than max (9 vs. 8)",
            ),
            (grpc.StatusCode.INTERNAL, "INTERNAL", "fault 5"),
            (grpc.StatusCode.FAILED_PRECONDITION, "REPLICA_SET_REQUIRED", "none"),
            (grpc.StatusCode.UNIMPLEMENTED, None, "what?"),
            (grpc.StatusCode.UNAUTHENTICATED, None, "who?"),
        ],
    )
    def test_that_does_not_pass_ends_the_watch(
        self,
        watch: OpenWatch,
        watches: ScriptedWatches,
        code: grpc.StatusCode,
        reason: str | None,
        text: str,
    ) -> None:
        reader = watch()
        reading = InBackground(reader.next)
        watches.call(0).end(code, reason, text=text)
        with pytest.raises(StoreError) as caught:
            reading.result()
        assert caught.value.code is code
        assert reader.next() is None
        assert len(watches.calls) == 1

    def test_by_an_end_without_an_error_is_one_too(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        errors: list[StoreError] = []
        reader = watch(on_interruption=lambda error, _: errors.append(error))
        told = InBackground(lambda: reader.take(2))
        first = watches.call(0)
        first.send(say.started("t0"))
        first.finish()
        watches.call(1).send(say.started("t0"))
        assert told.result() == ["started @t0", "started @t0"]
        assert isinstance(errors[0], UnavailableError)

    def test_in_the_middle_of_a_snapshot_says_that_its_first_part_is_void(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch(snapshot=True)
        told = InBackground(lambda: reader.events(5))
        first = watches.call(0)
        first.send(say.started(), say.snapshot(say.existing("a")))
        first.end()
        second = watches.call(1)
        assert (second.request.snapshot, second.request.resume_token) == (True, "")
        second.send(say.started(), say.complete("t1"))
        events = told.result()
        assert [brief(event) for event in events] == [
            "started",
            "existing a",
            "reset",
            "started",
            "snapshot_complete @t1",
        ]
        reset = events[2]
        assert isinstance(reset, WatchResetEvent)
        assert reset.cause == "snapshot_interrupted"
        assert reset.error.reason == "SHUTTING_DOWN"

    def test_behind_a_snapshot_goes_on_without_one(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch(snapshot=True)
        told = InBackground(lambda: reader.take(4))
        first = watches.call(0)
        first.send(say.started(), say.snapshot(say.existing("a")), say.complete("t1"))
        first.end()
        second = watches.call(1)
        assert (second.request.snapshot, second.request.resume_token) == (False, "t1")
        second.send(say.started("t1"))
        assert told.result()[2:] == ["snapshot_complete @t1", "started @t1"]

    def test_with_lost_history_ends_the_watch(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch(resume_token="t0")
        reading = InBackground(reader.next)
        watches.call(0).end(*LOST)
        with pytest.raises(HistoryLostError):
            reading.result()

    def test_with_lost_history_is_followed_by_a_snapshot_if_asked_for(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch(resume_token="t0", on_history_lost="snapshot")
        told = InBackground(lambda: reader.events(1))
        watches.call(0).end(*LOST)
        (reset,) = told.result()
        assert isinstance(reset, WatchResetEvent)
        assert reset.cause == "history_lost"
        assert reader.resume_token is None
        told = InBackground(lambda: reader.take(2))
        second = watches.call(1)
        assert (second.request.snapshot, second.request.resume_token) == (True, "")
        second.send(say.started(), say.complete("t9"))
        assert told.result() == ["started", "snapshot_complete @t9"]


class TestSilence:
    def test_of_three_intervals_is_a_lost_connection(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        errors: list[StoreError] = []
        reader = watch(on_interruption=lambda error, _: errors.append(error))
        told = InBackground(lambda: reader.take(3))
        first = watches.call(0)
        first.send(say.started("t1", 0.5))
        began = time.monotonic()
        second = watches.call(1)
        assert time.monotonic() - began > 1.4
        assert first.cancelled.wait(10)
        assert second.request.resume_token == "t1"
        assert isinstance(errors[0], UnavailableError)
        assert "1.5 s" in str(errors[0])
        second.send(say.started("t1"), say.progress("t2"))
        assert told.result() == ["started @t1", "started @t1", "progress @t2"]

    def test_is_granted_for_a_second_however_short_the_interval(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch()
        told = InBackground(lambda: reader.take(2))
        watches.call(0).send(say.started("t0", 0.01))
        began = time.monotonic()
        watches.call(1).send(say.started("t0"))
        assert time.monotonic() - began > 0.9
        told.result()

    def test_is_minded_by_readers_who_waited_for_longer_before(self) -> None:
        buffer = EventBuffer(10, 1000)
        silences: list[str] = []
        buffer.expect_in(LIMIT * 2, lambda: silences.append("late"))
        reading = InBackground(buffer.take)
        until(lambda: len(buffer._changed._waiters) == 1, "it waits")  # type: ignore[attr-defined]
        buffer.expect_in(0.01, lambda: silences.append("soon"))
        until(lambda: silences == ["soon"], "the silence is noticed")
        buffer.drop()
        assert reading.result() is None

    def test_before_the_start_is_granted_for_the_time_of_a_call(
        self, world: SyncWorld, watches: ScriptedWatches
    ) -> None:
        service = world.service(watches.address, timeout=0.05)
        reader = Reader(world, service.watch_keys(retry=SOON))
        told = InBackground(lambda: reader.take(1))
        watches.call(1)
        for call in (watches.calls[-1], watches.call(len(watches.calls))):
            call.send(say.started("t1"))
        assert told.result() == ["started @t1"]

    def test_is_none_as_long_as_messages_come(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch(snapshot=True)
        told = InBackground(lambda: reader.take(2))
        call = watches.call(0)
        call.send(say.started(interval=0.01))
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            call.send(say.snapshot())
            call.cancelled.wait(0.1)
        call.send(say.complete("t1"))
        assert told.result() == ["started", "snapshot_complete @t1"]
        assert len(watches.calls) == 1

    def test_is_none_while_the_buffer_is_full(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        slow, other = watch(buffer_events=1), watch()
        assert slow.next(0) is None
        held = watches.call(0)
        held.send(say.started("t0", 0.01))
        assert slow.take(1) == ["started @t0"]
        held.send(say.events("t1", say.created("a")), say.events("t2", say.created("b")))
        other.next(0)
        silence = InBackground(lambda: other.take(2))
        watches.call(1).send(say.started("t0", 0.01))
        # The other one was silent for as long as a connection may be.
        watches.call(2).send(say.started("t0"))
        silence.result()
        assert slow.take(2) == ["created a @t1", "created b @t2"]
        assert len(watches.calls) == 3
