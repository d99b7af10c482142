"""Gets that many threads make at once travel in one call.

A call costs the gRPC library some hundred microseconds in which no other thread of the interpreter
runs, whatever it asks for: threads that all call are no faster than a few. So while a get is on its
way, those that come meanwhile wait for its end, and then one of their threads asks for all of their
keys. A get that meets no other is a plain GetKey.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from typing import Any

import grpc

from .limits import MAX_KEY_BYTES, STORE_KEY
from .options import Metadata
from .v1 import execution_store_pb2 as pb

# Seconds that a get waits for the end of a call that it is not part of. Far from the server, where
# calls take longer, more of them are on their way.
_PATIENCE = 0.005
# Seconds that who calls waits for those who have just been answered, since they may ask again.
_GATHERING = 0.0005
# So few that the names of the longest keys take little of the room for an answer.
_MAX_JOINED = 256
# Seconds in which gets go by themselves after one call for several has failed, or has not answered
# all of them, as when it was cut for its size: asking twice is no gain.
_APART = 1.0
_MAX_IDLE_LANES = 64


class _Caller:
    """A get, by one thread.

    Attributes:
        key: what it reads
        may_lead: whether it may call for others, too
        leads: whether it is the one to call, for itself and those who wait
        group: all that it calls for, itself first; empty before it knows, and when they know
        size: how many these were
        answered: whether `answer` holds
        answer: None if the key is not there
        turn: is released once: when it is to lead, or when the one who calls for it is done
    """

    __slots__ = ("answer", "answered", "group", "key", "leads", "may_lead", "size", "turn")

    def __init__(self, key: str) -> None:
        self.key = key
        # An interrupt from the keyboard comes to the main thread, at any place. It must not come
        # between an answer and those who wait for it.
        self.may_lead = threading.current_thread() is not threading.main_thread()
        self.leads = False
        self.group: list[_Caller] = []
        self.size = 1
        self.answered = False
        self.answer: pb.GetKeyResponse | None = None
        self.turn = threading.Lock()
        self.turn.acquire()

    def dismiss(self) -> None:
        """Lets the others of its group go on; those without an answer then call themselves."""
        group, self.group = self.group, []
        for member in group:
            if member is not self:
                member.turn.release()


class _Lane:
    """The gets of one kind: of one store, encoding and metadata.

    Attributes:
        calling: those whose calls are on their way, or soon will be
        waiting: those who wait, the first one first
        expected: how many there were when the last call ended
        ended: when that was
        gate: is released when as many as expected are there; None while nobody waits for that
    """

    __slots__ = ("calling", "ended", "expected", "gate", "waiting")

    def __init__(self) -> None:
        self.calling: set[_Caller] = set()
        self.waiting: dict[_Caller, None] = {}
        self.expected = 1
        self.ended = 0.0
        self.gate: threading.Lock | None = None

    def appoint(self, leader: _Caller) -> None:
        """Has one who waits lead."""
        del self.waiting[leader]
        self.calling.add(leader)
        leader.leads = True


class JoinedReads:
    """Sends the gets of one connection, each by itself or with others.

    An answer is as fresh as that of a call of one's own: nobody joins a call that has begun.
    """

    def __init__(self) -> None:
        """Begins with nothing on its way."""
        self._lock = threading.Lock()
        self._lanes: dict[tuple[Any, ...], _Lane] = {}
        self._apart_until = 0.0

    def get(
        self, stub: Any, request: pb.GetKeyRequest, timeout: float | None, metadata: Metadata
    ) -> pb.GetKeyResponse | None:
        """Sends one get.

        What fails for several fails for none of them: each then makes a call of its own, so that
        errors are those of its own key, within what is left of its own time.

        Args:
            stub: of the connection
            request: what to read
            timeout: seconds; None for no limit
            metadata: headers. Gets travel together only where theirs are equal, since they may say
                who is asking.

        Returns:
            the response; None, or a KEY_NOT_FOUND, if the key is not there

        Raises:
            grpc.RpcError: of a GetKey
        """
        started = time.monotonic()
        key = request.key
        # What may be refused, or is long, is nobody else's matter.
        if started < self._apart_until or not 0 < len(key) <= MAX_KEY_BYTES or key == STORE_KEY:
            return stub.GetKey(request, timeout=timeout, metadata=metadata)  # type: ignore[no-any-return]
        lane = self._lane(request, metadata)
        caller = _Caller(key)
        try:
            if self._enter(lane, caller, started):
                deadline = math.inf if timeout is None else started + timeout
                self._wait(lane, caller, deadline)
                if caller.leads:
                    self._gather(lane, caller)
                if caller.size > 1:
                    left = None if timeout is None else deadline - time.monotonic()
                    self._call_for_all(stub, request, caller.group, left, metadata)
                if caller.answered:
                    return caller.answer
                caller.dismiss()
                timeout = None if timeout is None else deadline - time.monotonic()
            return stub.GetKey(request, timeout=timeout, metadata=metadata)  # type: ignore[no-any-return]
        finally:
            # In this order: those who ask again at once are not taken for further ones.
            self._leave(lane, caller)
            caller.dismiss()

    def _lane(self, request: pb.GetKeyRequest, metadata: Metadata) -> _Lane:
        kind = (
            request.dataset_id,
            request.collection_name,
            request.store_name,
            request.encoding,
            metadata,
        )
        lane = self._lanes.get(kind)
        if lane is None:
            with self._lock:
                if len(self._lanes) >= _MAX_IDLE_LANES:
                    # Who is in a lane holds it, and needs no entry to go on.
                    self._lanes.clear()
                lane = self._lanes.setdefault(kind, _Lane())
        return lane

    def _enter(self, lane: _Lane, caller: _Caller, now: float) -> bool:
        """Returns whether to wait, or to lead, and not to call at once."""
        with self._lock:
            if lane.calling or lane.waiting:
                lane.waiting[caller] = None
                if lane.gate is not None and len(lane.waiting) + 1 >= lane.expected:
                    lane.gate.release()
                    lane.gate = None
                return True
            lane.calling.add(caller)
            caller.leads = lane.expected > 1 and caller.may_lead and now < lane.ended + _GATHERING
            return caller.leads

    def _wait(self, lane: _Lane, caller: _Caller, deadline: float) -> None:
        """Waits until the caller is to lead, another has called for it, or it is too late."""
        patience = max(0.0, min(_PATIENCE, deadline - time.monotonic()))
        if caller.leads or caller.turn.acquire(timeout=patience):
            return
        with self._lock:
            if caller in lane.waiting:
                # Calls that take so long are waited for no more, also if nobody ends them.
                lane.calling.clear()
                lane.expected = 1
                lane.appoint(caller)
        if not caller.leads:
            left = min(deadline - time.monotonic(), threading.TIMEOUT_MAX)
            caller.turn.acquire(timeout=max(0.0, left))

    def _gather(self, lane: _Lane, caller: _Caller) -> None:
        """Takes those who wait along; a moment before, for those who are about to come."""
        if not caller.may_lead:
            return
        gate = None
        with self._lock:
            if len(lane.waiting) + 1 < lane.expected:
                gate = lane.gate = threading.Lock()
                gate.acquire()
        if gate is not None:
            gate.acquire(timeout=_GATHERING)
        with self._lock:
            lane.gate = None
            group = [caller, *itertools.islice(lane.waiting, _MAX_JOINED - 1)]
            caller.group = group
            caller.size = len(group)
            for member in group[1:]:
                del lane.waiting[member]

    def _leave(self, lane: _Lane, caller: _Caller) -> None:
        with self._lock:
            lane.waiting.pop(caller, None)
            if caller in lane.calling:
                lane.calling.remove(caller)
                lane.expected = min(caller.size + len(lane.waiting), _MAX_JOINED)
                lane.ended = time.monotonic()
            if lane.waiting and not lane.calling:
                able = (waiting for waiting in lane.waiting if waiting.may_lead)
                leader = next(able, None) or next(iter(lane.waiting))
                lane.appoint(leader)
                leader.turn.release()

    def _call_for_all(
        self,
        stub: Any,
        request: pb.GetKeyRequest,
        group: list[_Caller],
        timeout: float | None,
        metadata: Metadata,
    ) -> None:
        """Asks for the keys of a group, and answers those that it hears about."""
        joined = pb.BatchGetKeysRequest(
            dataset_id=request.dataset_id,
            collection_name=request.collection_name,
            store_name=request.store_name,
            keys=[member.key for member in group],
            encoding=request.encoding,
        )
        try:
            answer = stub.BatchGetKeys(joined, timeout=timeout, metadata=metadata)
        except grpc.RpcError:
            self._apart_until = time.monotonic() + _APART
            return
        documents = {document.key: document for document in answer.documents}
        missing = frozenset(answer.missing_keys)
        for member in group:
            document = documents.get(member.key)
            if document is not None:
                # A copy: who keeps it must not keep the documents of all.
                member.answer = pb.GetKeyResponse(document=document)
                member.answered = True
            elif member.key in missing:
                member.answered = True
        if not all(member.answered for member in group):
            self._apart_until = time.monotonic() + _APART
