"""When watches connect again, and how a slow consumer holds the server back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest

import scripted_watch as say
from execution_store import (
    KeyEvent,
    ResourceExhaustedError,
    StoreError,
    UnavailableError,
    WatchRetryPolicy,
)
from scripted_watch import ScriptedCall, ScriptedWatches
from store_server import until
from watch_worlds import SOON, InBackground, Reader, SyncWorld

OpenWatch = Callable[..., Reader]
LOST = (grpc.StatusCode.OUT_OF_RANGE, "HISTORY_LOST")


class TestBackoff:
    def test_grows_until_something_new_comes(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        delays: list[float] = []
        retry = WatchRetryPolicy(initial_backoff=0.008, max_backoff=0.032)
        reader = watch(retry=retry, on_interruption=lambda _, delay: delays.append(delay))
        told = InBackground(lambda: reader.take(4))
        for index in range(5):
            call = watches.call(index)
            if index == 3:
                # That it starts is nothing new.
                call.send(say.started("t0"))
            call.end(retry_after=None)
        fruitful = watches.call(5)
        fruitful.send(say.started("t0"), say.progress("t1"))
        until(lambda: reader.resume_token == "t1", "the token has come")
        fruitful.end(retry_after=None)
        watches.call(6).end(retry_after=0.06)
        watches.call(7).send(say.started("t1"))
        told.result()
        for delay, most in zip(delays, (0.008, 0.016, 0.032, 0.032, 0.032, 0.008)):
            assert most / 2 <= delay <= most
        # What the server asks for is the least.
        assert delays[6] >= 0.06
        assert len(set(delays)) > 4

    def test_grows_where_progress_tells_nothing_new(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        delays: list[float] = []
        retry = WatchRetryPolicy(initial_backoff=0.008, max_backoff=60.0)
        reader = watch(retry=retry, on_interruption=lambda _, delay: delays.append(delay))
        for index in range(4):
            told = InBackground(lambda: reader.take(2))
            call = watches.call(index)
            call.send(say.started("t0"), say.progress("t0"))
            told.result()
            call.end(retry_after=None)
        reading = InBackground(reader.next)
        watches.call(4).send(say.started("t0"))
        reading.result()
        for delay, most in zip(delays, (0.008, 0.016, 0.032, 0.064)):
            assert delay >= most / 2

    def test_does_not_grow_where_idle_connections_last(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        retry = WatchRetryPolicy(initial_backoff=0.001, max_backoff=0.005, max_attempts=2)
        reader = watch(retry=retry)
        for index in range(3):
            told = InBackground(lambda: reader.take(2))
            call = watches.call(index)
            call.send(say.started("t0"))
            began = time.monotonic()
            until(lambda began=began: time.monotonic() - began > 0.05, "it has lasted")
            call.send(say.progress("t0"))
            assert told.result() == ["started @t0", "progress @t0"]
            call.end(retry_after=None)
        told = InBackground(lambda: reader.take(1))
        watches.call(3).send(say.started("t0"))
        assert told.result() == ["started @t0"]

    def test_grows_where_history_is_lost_behind_every_snapshot(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        delays: list[float] = []
        reader = watch(
            snapshot=True,
            on_history_lost="snapshot",
            retry=WatchRetryPolicy(initial_backoff=0.008, max_backoff=0.064),
            on_interruption=lambda _, delay: delays.append(delay),
        )
        told = InBackground(lambda: reader.take(14))
        for index in range(5):
            call = watches.call(index)
            call.send(say.started(), say.complete(f"t{index}"))
            until(lambda at=f"t{index}": reader.resume_token == at, "the snapshot is told")
            if index < 4:
                call.end(*LOST)
        assert "reset" in told.result()
        for delay, most in zip(delays, (0.008, 0.016, 0.032, 0.064)):
            assert delay >= most / 2

    def test_ends_after_the_most_attempts_with_the_token_to_go_on_with(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch(retry=WatchRetryPolicy(3, 0.001, 0.005))
        told = InBackground(lambda: reader.take(2))
        first = watches.call(0)
        first.send(say.started("t0"), say.progress("t1"))
        told.result()
        reading = InBackground(reader.next)
        first.end()
        watches.call(1).end()
        watches.call(2).end()
        with pytest.raises(UnavailableError) as caught:
            reading.result()
        assert (caught.value.reason, caught.value.resume_token) == ("SHUTTING_DOWN", "t1")
        assert len(watches.calls) == 3

    def test_is_none_without_retries(self, watch: OpenWatch, watches: ScriptedWatches) -> None:
        reader = watch(retry=None, on_history_lost="snapshot")
        reading = InBackground(reader.next)
        watches.call(0).end(grpc.StatusCode.RESOURCE_EXHAUSTED, "WATCH_TOO_SLOW")
        with pytest.raises(ResourceExhaustedError):
            reading.result()
        assert len(watches.calls) == 1


class TestConnecting:
    def test_waits_for_a_server_unless_told_otherwise(self, world: SyncWorld) -> None:
        gone = ScriptedWatches()
        gone.close()
        service = world.service(gone.address)
        impatient = Reader(world, service.watch_keys(retry=WatchRetryPolicy(wait_for_server=0)))
        with pytest.raises(UnavailableError) as caught:
            impatient.next()
        assert caught.value.reason == "SERVER_UNREACHABLE"
        patient = Reader(world, service.watch_keys(retry=SOON))
        assert patient.next(0.2) is None
        server = ScriptedWatches(gone.address)
        try:
            told = InBackground(lambda: patient.take(1))
            server.call(0).send(say.started("t0"))
            assert told.result() == ["started @t0"]
            patient.close()
        finally:
            server.close()

    def test_asks_for_headers_anew(self, world: SyncWorld, watches: ScriptedWatches) -> None:
        asked: list[int] = []

        def headers() -> dict[str, str]:
            asked.append(1)
            return {"authorization": f"Bearer {len(asked)}"}

        service = world.service(watches.address, headers=headers)
        reader = Reader(world, service.watch_keys(retry=SOON))
        told = InBackground(lambda: reader.take(1))
        first = watches.call(0)
        first.end()
        second = watches.call(1)
        second.send(say.started("t0"))
        told.result()
        told_of = [call.metadata["authorization"] for call in (first, second)]
        assert told_of == ["Bearer 1", "Bearer 2"]

    def test_ends_with_what_on_interruption_raises(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        def enough(_error: StoreError, _delay: float) -> None:
            raise KeyError("enough")

        reader = watch(on_interruption=enough)
        reading = InBackground(reader.next)
        watches.call(0).end()
        with pytest.raises(KeyError, match="enough"):
            reading.result()
        assert reader.next() is None


class TestSlowConsumer:
    def test_may_leave_the_number_of_events_open(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch(buffer_events=math.inf, buffer_bytes=2000)
        reader.next(0)
        call = watches.call(0)
        call.send(say.started("t"))
        for number in range(50):
            call.send(say.events(f"t{number}", say.created(f"k{number}", "x" * 500)))
        assert reader.take(51)[-1] == "created k49 @t49"

    def test_is_not_held_up_by_messages_of_many_events(
        self, watch: OpenWatch, watches: ScriptedWatches
    ) -> None:
        reader = watch(buffer_events=10)
        reader.next(0)
        call = watches.call(0)
        call.send(say.started("t"))
        keys = [[f"k{number}-{index}" for index in range(100)] for number in range(20)]
        for number, some in enumerate(keys):
            call.send(say.events(f"t{number}", *(say.created(key) for key in some)))
        told = [event.key for event in reader.events(2001) if isinstance(event, KeyEvent)]
        assert told == [key for some in keys for key in some]

    @pytest.mark.parametrize("options", [{"buffer_bytes": 256 * 1024}, {"buffer_events": 10}])
    def test_holds_the_server_back_and_loses_nothing(
        self, watch: OpenWatch, watches: ScriptedWatches, options: dict[str, Any]
    ) -> None:
        count, size = 1000, 64 * 1024
        slow, quick = watch(**options), watch()
        told = [f"created k{number} @t{number}" for number in range(count)]
        calls: list[ScriptedCall] = []
        for reader in (slow, quick):
            reader.next(0)
            calls.append(watches.call(len(calls)))
            calls[-1].send(say.started("t"))
            assert reader.take(1) == ["started @t"]
        for call in calls:
            for number in range(count):
                call.send(say.events(f"t{number}", say.created(f"k{number}", "x" * size)))
        # What one connection has brought, the other would have brought, too.
        assert quick.take(count) == told
        # Besides the buffer there are those on their way: in HTTP/2's windows, of up to 16 MiB,
        # and the sockets.
        assert 4 <= calls[0].taken < count * 0.6
        assert slow.take(count) == told
