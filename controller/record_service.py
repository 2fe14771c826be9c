"""The recorder of a running station: a process of its own that only listens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from controller.bus.client import Client
from controller.bus.endpoints import Table
from controller.bus.envelope import BusError
from controller.bus.port import Port, Reply
from controller.bus.security import Security
from controller.bus.topics import STATION_EVENT, StationEvent
from controller.record import Recorder, recover_folder
from controller.services.service import Service
from hal.clock import Clock


class RecorderService(Service):
    """Records every topic of every service, world truth included, into `run_dir/NAME.mcap`.

    Recordings that an earlier run left without an index get it at the start. The one service that reads truth: it
    publishes nothing of what it reads.
    """

    name = "recorder"
    period_s = 0.02

    def __init__(
        self,
        clock: Clock,
        port: Port,
        table: Table,
        run_dir: Path,
        metadata: Mapping[str, Mapping[str, str]] | None = None,
        attachments: Mapping[str, bytes] | None = None,
        security: Security | None = None,
    ) -> None:
        super().__init__(clock, port)
        self._table = table
        self._run_dir = run_dir
        self._metadata = metadata
        self._attachments = attachments or {}
        self._security = security
        self._client: Client | None = None
        self._recorder: Recorder | None = None
        self.unreadable = 0

    def open(self) -> None:
        """Mend what is there, then begin a new file named by UTC."""
        self._run_dir.mkdir(parents=True, exist_ok=True)
        for name, count in recover_folder(self._run_dir).items():
            self._tell("warning", "RECOVERED", f"{name} had been cut off: {count} messages are readable again")
        path = self._run_dir / f"{self.clock.utc_ns() // 1_000_000}.mcap"
        self._recorder = Recorder(path, self._metadata)
        for name, data in self._attachments.items():
            self._recorder.attach(name, "application/octet-stream", data)
        self._client = Client(self._table, "recorder", self.clock, self._security)
        self._client.subscribe_all()

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
        self._recorder.tick(self.clock.utc_ns())

    def close(self) -> None:
        """Write the index."""
        if self._recorder is not None:
            self._recorder.close()
        if self._client is not None:
            self._client.close()

    def _tell(self, level: str, code: str, message: str) -> None:
        self.port.publish(STATION_EVENT, StationEvent(level, code, message))  # type: ignore[arg-type]
