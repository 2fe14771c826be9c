"""Wire faults: what becomes of a reply on its way to the host, the same for every kind of wire."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np

from sim_hw.timeline import Timeline
from sim_hw.wires.contract import UsbDevice

Put = Callable[[bytes], None]
Spoil = Callable[[bytes, Put], None]  # gets a reply and the way to the host
PIECE = 16  # bytes at once of what trickles, or that many pieces of what is long


class Carrier(Protocol):
    """A wire as the faults see it."""

    fault: Spoil | None
    deaf: bool
    heard: Callable[[], None]  # called with every command of the host


def spoiler(word: str, settings: dict[str, float], timeline: Timeline, rng: np.random.Generator) -> Spoil:
    """The spoiler of a wire fault. Raises KeyError for a word that is none."""

    def later(delay_s: float, put: Put, data: bytes) -> None:
        timeline.after(delay_s, partial(put, data))

    def off(data: bytes, put: Put) -> None:
        pass

    def garbage(data: bytes, put: Put) -> None:
        put(bytes(byte ^ int(noise) for byte, noise in zip(data, rng.integers(1, 256, len(data)), strict=True)))

    def intermittent(data: bytes, put: Put) -> None:
        if rng.random() >= settings["probability"]:
            put(data)

    def delayed(data: bytes, put: Put) -> None:
        later(settings["delay_s"], put, data)

    def duplicated(data: bytes, put: Put) -> None:
        put(data)
        put(data)

    def split(data: bytes, put: Put) -> None:
        half = len(data) // 2
        put(data[:half])
        later(settings["pause_s"], put, data[half:])

    def slow(data: bytes, put: Put) -> None:
        size = max(PIECE, len(data) // PIECE)
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            later((at + len(piece)) / settings["bytes_s"], put, piece)

    late: list[bytes] = []

    def late_reply(data: bytes, put: Put) -> None:
        if late:
            put(data)
            return
        late.append(data)
        later(settings["delay_s"], put, data)

    return {
        "off": off,
        "garbage": garbage,
        "intermittent": intermittent,
        "delayed": delayed,
        "duplicated": duplicated,
        "split": split,
        "slow": slow,
        "late_reply": late_reply,
    }[word]


def counted(spoil: Spoil, touched: Callable[[], None]) -> Spoil:
    """The same, and `touched` is called for each reply that did not arrive at once, whole, once and as it was."""

    def spoil_and_tell(data: bytes, put: Put) -> None:
        arrived: list[bytes] = []

        def note(piece: bytes) -> None:
            arrived.append(piece)
            put(piece)

        spoil(data, note)
        if arrived != [data]:
            touched()

    return spoil_and_tell


class FaultyUsb:
    """A UsbDevice with its transfers to the host through a spoiler; without a fault it is the device itself."""

    def __init__(self, device: UsbDevice) -> None:
        self.fault: Spoil | None = None
        self.deaf = False
        self.heard: Callable[[], None] = lambda: None
        self.device_descriptor = device.device_descriptor
        self.configuration_descriptor = device.configuration_descriptor
        self.strings = device.strings
        self.changed: Callable[[], None] = lambda: None
        self._device = device
        self._ready: dict[int, deque[bytes]] = {}
        device.changed = lambda: self.changed()

    def control(self, request_type: int, request: int, value: int, index: int, data: bytes, length: int) -> bytes:
        """Control transfers are the bus controller's and are left alone."""
        return self._device.control(request_type, request, value, index, data, length)

    def bulk_out(self, endpoint: int, data: bytes) -> None:
        """One OUT transfer, unless the device is deaf."""
        self.heard()
        if not self.deaf:
            self._device.bulk_out(endpoint, data)

    def bulk_in(self, endpoint: int, length: int) -> bytes | None:
        """What has come through the spoiler; None while there is nothing."""
        ready = self._ready.get(endpoint)
        if self.fault is None and not ready:
            return self._device.bulk_in(endpoint, length)
        queue = self._ready.setdefault(endpoint, deque())
        while not queue and (data := self._device.bulk_in(endpoint, length)) is not None:
            if self.fault is None:
                queue.append(data)
            else:
                self.fault(data, partial(self._put, endpoint))
        if not queue:
            return None
        data = queue.popleft()
        if len(data) > length:
            queue.appendleft(data[length:])
        return data[:length]

    def _put(self, endpoint: int, data: bytes) -> None:
        self._ready.setdefault(endpoint, deque()).append(data)
        self.changed()
