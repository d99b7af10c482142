"""What only the asyncio client has: event loops, tasks and their cancellation."""

from __future__ import annotations

import asyncio
import threading

import grpc
import pytest

from execution_store import FailedPreconditionError, RetryPolicy, StoreError, aio
from execution_store.v1 import execution_store_pb2 as pb
from scripted_server import Failure


def test_many_tasks_share_a_service(lmdb_server, dataset_id):
    async def main() -> None:
        async with aio.ExecutionStoreService(dataset_id, address=lmdb_server.address) as service:

            async def work(number: int) -> bool:
                await service.set_key("s", f"k{number}", number)
                document = await service.get_key("s", f"k{number}")
                assert document is not None
                assert document.value == number
                return bool(await service.set_key_if_absent("s", "lock", number))

            wins = await asyncio.gather(*(work(number) for number in range(100)))
            assert sum(wins) == 1
            assert await service.count_keys("s") == 101

    asyncio.run(main())


def test_a_service_goes_on_in_the_next_loop(lmdb_server, dataset_id):
    service = aio.ExecutionStoreService(dataset_id, address=lmdb_server.address)

    async def write(number: int) -> None:
        await service.set_key("s", "k", number)

    for number in range(3):
        asyncio.run(write(number))

    async def end() -> None:
        document = await service.get_key("s", "k")
        assert document is not None
        assert document.value == 2
        await service.close()

    asyncio.run(end())


def test_a_service_belongs_to_one_running_loop(lmdb_server, dataset_id):
    service = aio.ExecutionStoreService(dataset_id, address=lmdb_server.address)
    first = asyncio.new_event_loop()
    first.run_until_complete(service.has_key("s", "k"))
    with pytest.raises(FailedPreconditionError, match="another event loop"):
        asyncio.run(service.set_key("s", "k", 1))
    assert not first.run_until_complete(service.has_key("s", "k"))
    first.run_until_complete(service.close())
    first.close()


def test_a_loop_that_is_closed_amid_calls_does_not_hinder_closing(lmdb_server, dataset_id):
    waiting = aio.ExecutionStoreService(address="127.0.0.1:1")
    watching = aio.ExecutionStoreService(dataset_id, address=lmdb_server.address)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)

    async def begin() -> list[object]:
        watch = watching.watch_keys("s")
        call = asyncio.create_task(waiting.has_key("s", "k"))
        await watch.__anext__()
        return [watch, call]

    left = loop.run_until_complete(begin())
    loop.close()

    async def end() -> None:
        for service in (waiting, watching):
            await asyncio.wait_for(service.close(), 20)

    asyncio.run(end())
    assert not left[1].done()


def test_a_service_is_closed_by_the_loop_that_it_belongs_to(lmdb_server, dataset_id):
    service = aio.ExecutionStoreService(dataset_id, address=lmdb_server.address)

    async def main() -> None:
        await service.has_key("s", "k")
        with pytest.raises(FailedPreconditionError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, service.close())
        assert not await service.has_key("s", "k")
        await service.close()

    asyncio.run(main())


def test_close_ends_repetitions_without_a_wait(scripted):
    async def main() -> None:
        release = threading.Event()

        def slow(_request: object, context: grpc.ServicerContext) -> None:
            release.wait(20)
            context.abort(grpc.StatusCode.UNAVAILABLE, "")

        scripted.answers += [slow, pb.HasKeyResponse()]
        service = aio.ExecutionStoreService(
            address=scripted.address, retry=RetryPolicy(initial_backoff=0, max_backoff=0)
        )
        task = asyncio.create_task(service.has_key("s", "k"))
        while not scripted.calls:
            await asyncio.sleep(0.005)
        closing = asyncio.create_task(service.close())
        await asyncio.sleep(0)
        release.set()
        await asyncio.wait_for(closing, 20)
        with pytest.raises(StoreError):
            await task
        assert len(scripted.calls) == 1

    asyncio.run(main())


def test_a_cancelled_task_cancels_its_call(scripted):
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def slow(_request: object, context: object) -> pb.HasKeyResponse:
            context.add_callback(lambda: loop.call_soon_threadsafe(ended.set))
            loop.call_soon_threadsafe(entered.set)
            released.wait(20)
            return pb.HasKeyResponse(exists=True)

        entered = asyncio.Event()
        scripted.answers.append(slow)
        async with aio.ExecutionStoreService(address=scripted.address) as service:
            task = asyncio.create_task(service.has_key("s", "k"))
            await asyncio.wait_for(entered.wait(), 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # The server hears of it while it still works.
            await asyncio.wait_for(ended.wait(), 20)
            released.set()

    released = threading.Event()
    asyncio.run(main())


def test_close_ends_the_wait_for_a_repetition(scripted):
    async def main() -> None:
        scripted.answers.append(Failure(code=grpc.StatusCode.UNAVAILABLE))
        service = aio.ExecutionStoreService(
            address=scripted.address, retry=RetryPolicy(initial_backoff=100, max_backoff=100)
        )
        task = asyncio.create_task(service.has_key("s", "k", timeout=1000))
        while not scripted.calls:
            await asyncio.sleep(0.005)
        await asyncio.wait_for(service.close(), 20)
        with pytest.raises(StoreError):
            await asyncio.wait_for(task, 20)

    asyncio.run(main())


def test_headers_may_be_awaited(scripted):
    async def headers() -> dict[str, str]:
        await asyncio.sleep(0)
        return {"authorization": "Bearer x"}

    async def main() -> None:
        scripted.answers.append(pb.HasKeyResponse(exists=True))
        async with aio.ExecutionStoreService(address=scripted.address, headers=headers) as service:
            assert await service.has_key("s", "k")

    asyncio.run(main())
    assert scripted.calls[0][2]["authorization"] == "Bearer x"


def test_a_service_that_never_called_closes(lmdb_server):
    asyncio.run(aio.ExecutionStoreService(address=lmdb_server.address).close())
