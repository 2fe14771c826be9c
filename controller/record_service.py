"""The recorder of a running station: a process of its own that only listens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

from controller.bus.client import Client
from controller.bus.endpoints import Table
from controller.bus.envelope import BusError, Envelope
from controller.bus.port import Port, Reply
from controller.bus.security import Security
from controller.bus.store import Store
from controller.bus.topics import STATION_EVENT, StationEvent
from controller.record import Mender, RotatingRecorder, Rotation
from controller.services.service import Service
from hal.clock import NS, Clock

PERIOD_S: Final = 0.05
# At every second turn, and no turn later when one comes a little early.
FLUSH_NS: Final = round(1.5 * PERIOD_S * NS)
# What kill -9 may cost: two turns (100 ms), and more than as much again for a machine that is late.
LOSS_BOUND_NS: Final = 240_000_000


class Ear(Protocol):
    """Hears every topic: a client that has subscribed to all."""

    @property
    def store(self) -> Store:
        """It has counted what never came."""
        ...

    def envelopes(self, timeout_s: float) -> Iterator[Envelope]:
        """What has come since the previous call."""
        ...

    def close(self) -> None:
        """Listen no more."""
        ...


class RecorderService(Service):
    """Records every topic of every service, world truth included, into the run directory.

    Recordings that an earlier run left without an index get it meanwhile, in a thread that does not inherit this
    process's priority. The one service that reads truth: it publishes nothing of what it reads.
    """

    name = "recorder"
    period_s = PERIOD_S

    def __init__(
        self,
        clock: Clock,
        port: Port,
        table: Table,
        run_dir: Path,
        metadata: Mapping[str, Mapping[str, str]] | None = None,
        attachments: Mapping[str, bytes] | None = None,
        rotation: Rotation | None = None,
        security: Security | None = None,
    ) -> None:
        super().__init__(clock, port)
        self._table = table
        self._run_dir = run_dir
        self._metadata = metadata
        self._attachments = attachments
        self._rotation = rotation
        self._security = security
        self._client: Ear | None = None
        self._recorder: RotatingRecorder | None = None
        self._mender: Mender | None = None
        self._refused = ""
        self._dropped = 0
        self._missed = 0
        self._missed_due_ns = 0
        self.unreadable = 0

    def open(self) -> None:
        """Begin a new file named by UTC."""
        self._run_dir.mkdir(parents=True, exist_ok=True)
        path = self._run_dir / f"{self.clock.utc_ns() // 1_000_000}.mcap"
        self._recorder = RotatingRecorder(
            path, self.clock.now_ns(), self._metadata, self._attachments, self._rotation, FLUSH_NS
        )
        self._client = self.listen()

    def listen(self) -> Ear:
        """What hears everything from now on."""
        client = Client(self._table, "recorder", self.clock, self._security)
        client.subscribe_all()
        return client

    def cycle(self) -> None:
        """Write what has come."""
        for request in self.port.requests():
            self.port.answer(request, Reply("SCHEMA", f"the recorder has no method {request.method!r}"))
        if self._client is None or self._recorder is None:
            return
        for envelope in self._client.envelopes(0):
            try:
                self._recorder.write(envelope.m, envelope)
            except BusError as error:
                self.unreadable += 1
                if self.unreadable == 1:
                    self._tell("warning", "UNREADABLE", f"{error}; it is missing from the recording")
        self._recorder.tick(self.clock.now_ns())
        self._watch_disk(self._recorder)
        self._watch_gaps(self._client)
        if self._mender is None:  # not in `open`: the priority that comes after it is for every thread of then
            self._mender = Mender(self._run_dir)
        for code, sentence in self._mender.news():
            self._tell("warning", code, sentence)

    def _watch_disk(self, recorder: RotatingRecorder) -> None:
        """Tell once that the disk takes nothing, and once that it does again."""
        if recorder.refused and not self._refused:
            self._dropped = recorder.dropped
            why = f"{recorder.path} cannot grow ({recorder.refused}): nothing is recorded until there is room"
            self._tell("error", "DISK_FULL", why)
        elif self._refused and not recorder.refused:
            lost = recorder.dropped - self._dropped
            self._tell("warning", "DISK_ROOM", f"{recorder.path.name} is written again; {lost} messages are missing")
        self._refused = recorder.refused

    def _watch_gaps(self, client: Ear) -> None:
        """Tell what never came, once a second: without a word a gap in a recording could be anything."""
        now_ns, missed = self.clock.now_ns(), client.store.gaps
        if now_ns < self._missed_due_ns or missed.total() == self._missed:
            return
        self._missed_due_ns = now_ns + NS
        new, self._missed = missed.total() - self._missed, missed.total()
        topics = ", ".join(sorted(missed))
        self._tell("warning", "GAPS", f"{new} messages never reached the recording; topics that lack some: {topics}")

    def close(self) -> None:
        """Write the index."""
        if self._recorder is not None:
            self._recorder.close()
        if self._mender is not None:
            self._mender.close()
        if self._client is not None:
            self._client.close()

    def _tell(self, level: str, code: str, message: str) -> None:
        self.port.publish(STATION_EVENT, StationEvent(level, code, message))  # type: ignore[arg-type]
