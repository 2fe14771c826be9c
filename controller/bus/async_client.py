"""The asyncio client of the bus: the plain client's methods, to be awaited.

One descriptor of the event loop stands for all sockets. When it can be read, everything that is there is taken at
once, into the store, to the commands under way and to the iterators: no wait owns a message, so that cancelling one
loses none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from types import TracebackType
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

from controller.bus.endpoints import Table
from controller.bus.envelope import BusError, Envelope, Lease, topic_named
from controller.bus.port import Reply, Sample
from controller.bus.ring import TIMEOUT_S, Past
from controller.bus.roles import EVENTS_SINCE
from controller.bus.security import Security
from controller.bus.session import CLOSED, Session
from controller.bus.store import QUEUE_LENGTH, sample_of
from controller.bus.topics import Topic
from hal.clock import Clock

TURN_S: Final = 0.02  # deadlines of commands, and services that were not there, are looked at this often

T = TypeVar("T")


class AsyncClient(Session):
    """Commands to, and telemetry from, a running station. Belongs to the event loop in which it is made.

    async with AsyncClient(static_table()) as client:
        reply = await client.call("station", "stop", control=True)
        async for sample in client.samples():
            print(sample.topic, sample.body)
    """

    def __init__(
        self, table: Table, name: str = "cli", clock: Clock | None = None, security: Security | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._streams: WeakSet[Stream[Any]] = WeakSet()
        self._waiters: dict[bytes, list[asyncio.Future[None]]] = {}  # by command
        self._hearers: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        super().__init__(table, name, clock, security)
        self._loop.add_reader(self._transport.heard.fileno(), self._take)
        self._take()

    def send(
        self,
        service: str,
        method: str,
        body: dict[str, Any] | None = None,
        timeout_s: float = 2.0,
        control: bool = False,
        lease: Lease | None = None,
    ) -> bytes:
        """Send a command and go on, to send others before waiting for the first; `result` has the answer.

        Raises BusError when the client is closed.
        """
        request_id = super().send(service, method, body, timeout_s, control, lease)
        channel = self._dialler.known.get((service, control))
        if channel is not None and channel.pending():  # sending may have taken the word of its descriptor
            self._take()
        if self._timer is None:
            self._timer = self._loop.call_later(TURN_S, self._tick)
        return request_id

    async def call(
        self,
        service: str,
        method: str,
        body: dict[str, Any] | None = None,
        timeout_s: float = 2.0,
        control: bool = False,
        lease: Lease | None = None,
    ) -> Reply:
        """Send a command and wait for its answer; `control` for stop, safe, abort, ping and lease.*.

        Cancelling it gives up the answer, not the command: that may have been executed.
        Raises BusError when the client is closed.
        """
        request_id = self.send(service, method, body, timeout_s, control, lease)
        try:
            return await self.result(request_id)
        except asyncio.CancelledError:
            self._requester.forget(request_id)
            raise

    async def result(self, request_id: bytes) -> Reply:
        """Wait for the answer to a command sent with `send`; there is always one, by its time-out.

        After a wait that was cancelled it may be waited for again. Raises BusError when the client is closed, and when
        the answer was taken before: there is one for each command.
        """
        while (reply := self._requester.taken(request_id)) is None:
            if self._closed:
                raise BusError(CLOSED)
            self._requester.refuse_unknown(request_id)
            waiters = self._waiters.setdefault(request_id, [])
            waiters.append(waiter := self._loop.create_future())
            try:
                await waiter
            finally:
                waiters.remove(waiter)
                if not waiters:
                    self._waiters.pop(request_id, None)
        return reply

    def subscribe(self, *topics: Topic | str) -> None:
        """Receive topics from now on, of all services; last values first.

        Raises BusError on an unknown name and when the client is closed.
        """
        super().subscribe(*topics)
        self._take()

    def envelopes(self, timeout_s: float | None = None) -> Stream[Envelope]:
        """Telemetry as it comes from now on, undecoded, for `timeout_s` (0: what is there now; None: for ever)."""
        return self._stream(lambda envelope: envelope, timeout_s)

    def samples(self, timeout_s: float | None = None) -> Stream[Sample[Any]]:
        """As `envelopes`, decoded. Raises BusError on a body that fits no topic."""
        return self._stream(
            lambda envelope: sample_of(envelope, topic_named(envelope.m), self._clock.now_ns()), timeout_s
        )

    async def wait_for(self, topic: Topic, source: str = "", timeout_s: float = 1.0) -> Sample[Any] | None:
        """The newest sample of a topic as soon as there is one; None when none comes in time."""
        self.subscribe(topic)
        try:
            async with asyncio.timeout(timeout_s):
                while (sample := self.store.latest(topic, source)) is None:
                    await self._news()
        except TimeoutError:
            return None
        return sample

    async def events_since(
        self, topic: Topic, source: str, since_seq: int = 0, timeout_s: float = TIMEOUT_S
    ) -> list[Sample[Any]]:
        """Events of a service again, those after `since_seq`, in order: what a gap, or the time before us, has hidden.

        It keeps the latest 1024 of a topic: a first `seq` above `since_seq` + 1 says that what is between is gone.
        Numbers begin at 1 with each start of a service. Raises BusError when the service does not answer.
        """
        past = Past(topic, since_seq, self._clock.now_ns())
        while past.wish is not None:
            past.take(await self.call(source, EVENTS_SINCE, past.wish, timeout_s))
        return past.samples

    async def pause(self, duration_s: float) -> None:
        """Take telemetry into `store` for a while."""
        await asyncio.sleep(duration_s)

    def close(self) -> None:
        """Close all sockets; whoever waits for an answer is told, iterators end."""
        if self._closed:
            return
        self._loop.remove_reader(self._transport.heard.fileno())
        if self._timer is not None:
            self._timer.cancel()
        super().close()
        for waiter in (*chain.from_iterable(self._waiters.values()), *self._hearers):
            _wake(waiter)
        for stream in self._streams:
            stream.end()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> None:
        """Take everything that is there."""
        if self._closed:
            return
        self._requester.read()
        telemetry = self._listener.channel
        if telemetry.used or telemetry.rung:  # reading has looked at it
            self._listener.turn()
        more = self._transport.heard.pending if self._requester.waiting else telemetry.pending
        if more():  # than one batch: its descriptor will not say so again
            self._loop.call_soon(self._take)

    def _tick(self) -> None:
        self._timer = None
        if self._closed:
            return
        self._requester.turn()
        self._take()
        if self._requester.waiting:
            self._timer = self._loop.call_later(TURN_S, self._tick)

    def _heard(self, envelope: Envelope) -> None:
        for stream in self._streams:
            if stream.put(envelope):
                self.store.gaps[envelope.m] += 1
        hearers, self._hearers = self._hearers, []
        for hearer in hearers:
            _wake(hearer)

    def _answered(self, request_id: bytes) -> None:
        for waiter in self._waiters.get(request_id, ()):
            _wake(waiter)

    async def _news(self) -> None:
        """Wait until telemetry has come. Raises BusError when the client is closed."""
        if self._closed:
            raise BusError(CLOSED)
        hearer = self._loop.create_future()
        self._hearers.append(hearer)
        try:
            await hearer
        finally:
            with suppress(ValueError):  # whoever does not wait any more is not kept until somebody speaks
                self._hearers.remove(hearer)

    def _stream(self, read: Callable[[Envelope], T], timeout_s: float | None) -> Stream[T]:
        stream = Stream(read)
        if self._closed:
            stream.end()
        self._streams.add(stream)
        self._take()
        if timeout_s is not None:
            self._loop.call_later(timeout_s, stream.end) if timeout_s > 0 else stream.end()
        return stream


class Stream(Generic[T]):
    """Telemetry from the moment it was made. Whoever does not keep up loses the oldest, counted in `store.gaps`."""

    def __init__(self, read: Callable[[Envelope], T]) -> None:
        self._read = read
        self._queue: deque[Envelope] = deque()
        self._something = asyncio.Event()
        self._over = False

    def put(self, envelope: Envelope) -> bool:
        """Append; True when the oldest had to go for it."""
        if self._over:
            return False
        full = len(self._queue) >= QUEUE_LENGTH
        if full:
            self._queue.popleft()
        self._queue.append(envelope)
        self._something.set()
        return full

    def end(self) -> None:
        """Nothing more is appended; what is there may still be read."""
        self._over = True
        self._something.set()

    @property
    def waiting(self) -> int:
        """Messages that have come and were not read yet."""
        return len(self._queue)

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        while not self._queue:
            if self._over:
                raise StopAsyncIteration
            self._something.clear()
            await self._something.wait()
        return self._read(self._queue.popleft())


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
