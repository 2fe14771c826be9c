"""The three kinds of wire with a log: they behave as without, and every byte is written down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hal.clock import Clock
from hal.errors import HalError
from hal.wires.stream import StreamWire
from hal.wires.text import TextWire
from hal.wires.usb import UsbWire
from hal.wires.wirelog import WireLog, bulk, control

GET_DESCRIPTOR, DEVICE, CONFIGURATION = 6, 1, 2  # USB 2.0, tables 9-4 and 9-5
CONFIGURATION_ROOM = 4096
DESCRIPTOR_TIMEOUT_S = 1.0


class LoggedStream(StreamWire):
    """A byte stream with a log: bytes are logged as they are taken from the wire, not as somebody asks for them."""

    def __init__(self, wire: StreamWire, clock: Clock, log: WireLog) -> None:
        super().__init__(wire.resource, clock, wire.name, wire.baud)
        self._wire = wire
        self._log = log

    def __getattr__(self, name: str) -> Any:
        """Whatever else the wire can do: modem lines, break."""
        return getattr(self._wire, name)

    @property
    def where(self) -> str:
        """As the wire says."""
        return self._wire.where

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        self._log.sent(data)
        with self._failures():
            self._wire.write(data)

    def close(self) -> None:
        """Close wire and log."""
        self._wire.close()
        self._log.close()

    def _take(self, n: int, timeout_s: float) -> bytes:
        return self._came(lambda: self._wire._take(n, timeout_s))

    def _take_waiting(self, n: int) -> bytes:
        return self._came(lambda: self._wire._take_waiting(n))

    def _waiting(self) -> int:
        with self._failures():
            return self._wire._waiting()

    def _check(self) -> str:
        return self._wire._check()

    def _came(self, take: Any) -> bytes:
        with self._failures():
            data: bytes = take()
        if data:
            self._log.came(data)
        return data

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except HalError as error:
            self._log.failed(error)
            raise


class LoggedText:
    """A wire of messages (VISA) with a log; each message is one entry, without its line feed."""

    def __init__(self, wire: TextWire, clock: Clock, log: WireLog) -> None:
        self.name = wire.name
        self._wire = wire
        self._clock = clock
        self._log = log

    def write(self, message: str) -> None:
        """Send one message."""
        self._log.sent(message.encode("latin-1"))
        try:
            self._wire.write(message)
        except HalError as error:
            self._log.failed(error)
            raise

    def query(self, message: str, timeout_s: float | None = None) -> str:
        """Send one message and return its reply."""
        begun_ns = self._clock.now_ns()
        self._log.sent(message.encode("latin-1"))
        try:
            reply = self._wire.query(message, timeout_s)
        except HalError as error:
            self._log.failed(error, took_ns=self._clock.now_ns() - begun_ns)
            raise
        self._log.came(reply.encode("latin-1"), took_ns=self._clock.now_ns() - begun_ns)
        return reply

    def close(self) -> None:
        """Close wire and log."""
        self._wire.close()
        self._log.close()


class LoggedUsb(UsbWire):
    """A USB device with a log; its descriptors are the first that is written down."""

    def __init__(self, device: Any, name: str, resource: str, clock: Clock, log: WireLog) -> None:
        super().__init__(device, name, resource)
        self._clock = clock
        self._log = log
        log.opened(
            resource=resource,
            kind="usb",
            serial_number=self.serial_number,
            device_descriptor=self._descriptor(DEVICE, 18).hex(" "),
            configuration_descriptor=self._descriptor(CONFIGURATION, CONFIGURATION_ROOM).hex(" "),
        )

    def control_in(
        self, request_type: int, request: int, value: int, index: int, length: int, timeout_s: float
    ) -> bytes:
        """A control transfer that reads at most `length` bytes."""
        on = control(request_type | 0x80, request, value, index)
        with self._transfer(on) as came:
            came.append(super().control_in(request_type, request, value, index, length, timeout_s))
        return came[0]

    def control_out(
        self, request_type: int, request: int, value: int, index: int, data: bytes, timeout_s: float
    ) -> None:
        """A control transfer that writes `data`."""
        on = control(request_type & 0x7F, request, value, index)
        self._log.sent(data, on)
        with self._transfer(on):
            super().control_out(request_type, request, value, index, data, timeout_s)

    def bulk_in(self, endpoint: int, n: int, timeout_s: float) -> bytes:
        """One bulk transfer of at most `n` bytes."""
        with self._transfer(bulk(endpoint)) as came:
            came.append(super().bulk_in(endpoint, n, timeout_s))
        return came[0]

    def bulk_out(self, endpoint: int, data: bytes, timeout_s: float) -> None:
        """One bulk transfer of all of `data`."""
        self._log.sent(data, bulk(endpoint))
        with self._transfer(bulk(endpoint)):
            super().bulk_out(endpoint, data, timeout_s)

    def close(self) -> None:
        """Close wire and log."""
        super().close()
        self._log.close()

    def _descriptor(self, kind: int, room: int) -> bytes:
        return super().control_in(0x80, GET_DESCRIPTOR, kind << 8, 0, room, DESCRIPTOR_TIMEOUT_S)

    @contextmanager
    def _transfer(self, on: str) -> Iterator[list[bytes]]:
        came: list[bytes] = []
        begun_ns = self._clock.now_ns()
        try:
            yield came
        except HalError as error:
            self._log.failed(error, on, self._clock.now_ns() - begun_ns)
            raise
        for data in came:
            self._log.came(data, on, self._clock.now_ns() - begun_ns)
