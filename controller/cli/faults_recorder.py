"""The recorder's service in lockstep, where it hears what is sent on the spot, over no socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from controller.bus.envelope import Envelope
from controller.bus.local import LocalBus
from controller.bus.store import Store
from controller.record_service import RecorderService
from hal.clock import Clock


class Tap:
    """Everything that is sent on the bus, until it is closed."""

    def __init__(self, bus: LocalBus) -> None:
        self._bus, self.store = bus, Store()
        self._heard: list[Envelope] = []
        bus.tap(self._hear)

    def envelopes(self, timeout_s: float) -> Iterator[Envelope]:
        """What was sent since the previous call."""
        heard, self._heard = self._heard, []
        yield from heard

    def close(self) -> None:
        """Hear no more."""
        self._bus.untap(self._hear)

    def _hear(self, topic: str, envelope: Envelope) -> None:
        self._heard.append(envelope)


class TappedRecorder(RecorderService):
    """The service itself, turned by hand; `lost` is how many messages have found no room."""

    def __init__(self, clock: Clock, bus: LocalBus, folder: Path) -> None:
        super().__init__(clock, bus.port(self.name), {}, folder)
        self._bus = bus

    @property
    def lost(self) -> int:
        """Messages that are in no file."""
        return self._recorder.dropped if self._recorder is not None else 0

    def listen(self) -> Tap:
        """Whatever is sent on the bus."""
        return Tap(self._bus)

    def close(self) -> None:
        """As the service does, and it is gone from the bus."""
        super().close()
        self._bus.leave(self.name)
