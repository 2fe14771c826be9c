"""A USB3 Vision camera: control by GenCP over bulk endpoints, frames as leader, payload and trailer.

Transport-free: USB/IP server and in-process backend carry the same object. The camera has a clock of its own, with
an offset and a drift against the bench; time stamps are those of the start of exposure. A frame leaves after the end
of its exposure, the read-out of its rows and its time on the bus. What the host does not fetch is dropped, with a gap
in the block ids, as a camera with little memory does.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import numpy as np

from sim_hw.devices import u3v_memory as m
from sim_hw.devices.u3v_memory import Identity, Memory, Refused, execute
from sim_hw.scene.frame import FrameRenderer, Sensor
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.contract import Condition, UsbStall

CONTROL_OUT, CONTROL_IN, STREAM_IN = 0x01, 0x81, 0x82
FULL_WELL = 65_535  # counts of a saturated pixel
VENDOR_ID, PRODUCT_ID = 0x1209, 0x0001  # pid.codes' test id, for devices that are not sold
LEADER, TRAILER = 0x4C563355, 0x54563355  # "U3VL", "U3VT"
LEADER_SIZE, TRAILER_SIZE = 52, 32
IMAGE, MONO16 = 0x0001, 0x01100007
REPLY_S, REPLY_JITTER_S = 150e-6, 30e-6  # a command's time to its acknowledgement: fixed part, exponential part
START_S = 1e-3  # from AcquisitionStart to the first exposure
READOUT_S, ROW_S = 100e-6, 8e-6  # from the end of exposure to the first row; for each row
BUS_BYTE_S = 1 / 350e6  # a byte on the bus at what USB 3.0 carries in practice
FRAMES_HELD = 4  # in the camera's memory


class Spots(Protocol):
    """The physics: what lights the sensor."""

    def __call__(self, t0_ns: int, t1_ns: int, /) -> Iterable[tuple[float, ...]]:
        """Spots averaged over an exposure that is just over: camera-plane angles (rad) and photo-electrons a second.

        What is wider than a point has its sigma in pixels as a fourth number.
        """
        ...


def _descriptors() -> tuple[bytes, bytes]:
    device = struct.pack(
        "<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0xEF, 0x02, 0x01, 64, VENDOR_ID, PRODUCT_ID, 0x0100, 1, 2, 3, 1
    )
    info = struct.pack("<BBBHHHHBBBBBBBBB", 20, 0x24, 0x01, 3, 1, 0, 1, 5, 1, 2, 0, 4, 0, 3, 0, 1 << 2)
    body = (
        bytes([8, 0x0B, 0, 2, 0xEF, 0x05, 0x00, 0])  # both interfaces are one USB3 Vision function
        + bytes([9, 4, 0, 0, 2, 0xEF, 0x05, 0x00, 0])
        + info
        + struct.pack("<BBBBHB", 7, 5, CONTROL_OUT, 2, 512, 0)
        + struct.pack("<BBBBHB", 7, 5, CONTROL_IN, 2, 512, 0)
        + bytes([9, 4, 1, 0, 1, 0xEF, 0x05, 0x02, 0])
        + struct.pack("<BBBBHB", 7, 5, STREAM_IN, 2, 512, 0)
    )
    return device, struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), 2, 1, 0, 0x80, 250) + body


class U3vCamera:
    """The emulated camera, a UsbDevice.

    `rng` seeds its noise, its clock's offset and drift, and its reply times.
    """

    device_descriptor, configuration_descriptor = _descriptors()

    def __init__(
        self,
        timeline: Timeline,
        spots: Spots,
        rng: np.random.Generator,
        sensor: Sensor | None = None,
        identity: Identity | None = None,
    ) -> None:
        self.sensor = sensor or Sensor()
        identity = identity or Identity()
        self.strings = {1: identity.manufacturer, 2: identity.model, 3: identity.serial, 4: "1.0", 5: identity.guid}
        self.changed: Callable[[], None] = lambda: None
        noise, self._jitter, clock = rng.spawn(3)
        self.clock_offset_ns = int(clock.integers(0, 1000 * NS))
        self.clock_drift = float(clock.uniform(-20e-6, 20e-6))  # of an ordinary crystal
        self._timeline, self._spots = timeline, spots
        self._renderer = FrameRenderer(self.sensor, noise)
        self._replies: deque[bytes] = deque()
        self._reply_at_ns = 0
        self._transfers: deque[bytes] = deque()
        self._held: deque[int] = deque()  # transfers left of each frame that the host has not fetched
        self._running = False
        self._run = 0  # an event of an earlier run does nothing
        self._region_px = 0, 0, 0, 0  # x, y, width, height of this run
        self._pieces: list[int] = []  # the payload's transfers in this run
        self._saturated = self._repeats = False  # faults
        self._stamp_offset_ns = 0
        self._last: tuple[bytes, bytes, bytes] | None = None  # leader, payload and trailer of the latest frame
        self.memory = self._memory(identity)

    def conditions(self) -> dict[str, Condition]:
        """Faults of the camera itself (sim_hw.faults); stuck: one frame comes for ever, number and time too."""

        def stuck(settings: Mapping[str, float] | None) -> None:
            self._repeats = settings is not None

        def saturated(settings: Mapping[str, float] | None) -> None:
            self._saturated = settings is not None

        def wrong(settings: Mapping[str, float] | None) -> None:
            self._stamp_offset_ns = 0 if settings is None else round(settings["offset_s"] * NS)

        return {"stuck": stuck, "saturated": saturated, "wrong": wrong}

    def device_time_ns(self, t_ns: int) -> int:
        """What the camera's own clock shows at a time of the bench."""
        return t_ns + round(t_ns * self.clock_drift) + self.clock_offset_ns

    # UsbDevice

    def control(self, request_type: int, request: int, value: int, index: int, data: bytes, length: int) -> bytes:
        """USB3 Vision has no class requests on endpoint zero that a host needs."""
        raise UsbStall(f"request {request:#04x}")

    def bulk_out(self, endpoint: int, data: bytes) -> None:
        """A GenCP command; carried out half of its reply time after it came."""
        delay_ns = round((REPLY_S + self._jitter.exponential(REPLY_JITTER_S)) * NS)
        begin_ns = max(self._timeline.now_ns, self._reply_at_ns)
        self._reply_at_ns = begin_ns + delay_ns
        self._timeline.schedule(begin_ns + delay_ns // 2, lambda: self._execute(data, begin_ns + delay_ns))

    def bulk_in(self, endpoint: int, length: int) -> bytes | None:
        """The next acknowledgement or the next piece of the stream."""
        queue = self._replies if endpoint == CONTROL_IN else self._transfers
        if not queue:
            return None
        data = queue.popleft()
        if len(data) > length:
            queue.appendleft(data[length:])
            return data[:length]
        if endpoint == STREAM_IN:
            self._held[0] -= 1
            if not self._held[0]:
                self._held.popleft()
        return data

    # Control

    def _execute(self, command: bytes, reply_at_ns: int) -> None:
        reply = execute(self.memory, command)
        if reply is not None:
            self._timeline.schedule(reply_at_ns, lambda: self._answer(reply))

    def _answer(self, reply: bytes) -> None:
        self._replies.append(reply)
        self.changed()

    def _memory(self, identity: Identity) -> Memory:
        memory, sensor = Memory(identity), self.sensor
        width, height = sensor.width_px, sensor.height_px
        memory.put(m.WIDTH, "<IIIIIII", width, height, 0, 0, MONO16, width, height)
        memory.put(m.EXPOSURE, "<dd", 5000.0, 50.0)
        memory.put(m.MODE, "<III", 2, 0, 1)  # continuous; as delivered: free-running rate, but on trigger
        memory.put(m.SIRM + m.SI_REQUIRED_LEADER, "<II", LEADER_SIZE, TRAILER_SIZE)
        memory.writable(m.TIMESTAMP_LATCH, "<I", lambda _: self._latch())
        memory.writable(m.SIRM + m.SI_CONTROL, "<I", self._enable)
        for offset in range(m.SI_MAXIMUM_LEADER, m.SI_MAXIMUM_TRAILER + 4, 4):
            memory.writable(m.SIRM + offset, "<I", lambda _: None)
        memory.writable(m.WIDTH, "<I", lambda v: self._region(m.WIDTH, v, 4, 8, width - memory.integer(m.OFFSET_X)))
        memory.writable(m.HEIGHT, "<I", lambda v: self._region(m.HEIGHT, v, 2, 8, height - memory.integer(m.OFFSET_Y)))
        memory.writable(m.OFFSET_X, "<I", lambda v: self._region(m.OFFSET_X, v, 4, 0, width - memory.integer(m.WIDTH)))
        memory.writable(
            m.OFFSET_Y, "<I", lambda v: self._region(m.OFFSET_Y, v, 2, 0, height - memory.integer(m.HEIGHT))
        )
        memory.writable(m.PIXEL_FORMAT, "<I", lambda v: _within(v, MONO16, MONO16))
        memory.writable(m.MODE, "<I", lambda v: _within(v, 2, 2))
        memory.writable(m.EXPOSURE, "<d", lambda v: _within(v, 10.0, 1e7))
        memory.writable(m.FRAME_RATE, "<d", lambda v: _within(v, 0.1, 2000.0))
        memory.writable(m.FRAME_RATE_ENABLE, "<I", lambda v: _within(v, 0, 1))
        memory.writable(m.TRIGGER_MODE, "<I", lambda v: _within(v, 0, 1))
        memory.writable(m.START, "<I", lambda _: self._start())
        memory.writable(m.STOP, "<I", lambda _: self._stop())
        self.memory = memory
        self._payload(width, height)
        return memory

    def _latch(self) -> None:
        self.memory.put(m.TIMESTAMP, "<Q", self.device_time_ns(self._timeline.now_ns))

    def _region(self, address: int, value: float, step: int, least: int, most: int) -> None:
        if self._running:
            raise Refused(m.ACCESS_DENIED)
        _within(value, least, most)
        if int(value) % step:
            raise Refused(m.INVALID_PARAMETER)
        size = {a: self.memory.integer(a) for a in (m.WIDTH, m.HEIGHT)} | {address: int(value)}
        self._payload(size[m.WIDTH], size[m.HEIGHT])

    def _payload(self, width: int, height: int) -> None:
        self.memory.put(m.PAYLOAD, "<I", 2 * width * height)
        self.memory.put(m.SIRM + m.SI_REQUIRED_PAYLOAD, "<Q", 2 * width * height)

    # Stream

    def _enable(self, value: float) -> None:
        """SI_Control: enabling checks the transfer sizes, disabling drops what was not fetched."""
        self._transfers.clear()
        self._held.clear()
        if int(value) & 1 and sum(self._payload_sizes()) < self.memory.integer(m.PAYLOAD):
            raise Refused(m.SI_REGISTERS_INCONSISTENT)

    def _payload_sizes(self) -> list[int]:
        size, count, final1, final2 = (
            self.memory.integer(m.SIRM + offset)
            for offset in (m.SI_TRANSFER_SIZE, m.SI_TRANSFER_COUNT, m.SI_FINAL1, m.SI_FINAL2)
        )
        if count > 4096:
            raise Refused(m.SI_REGISTERS_INCONSISTENT)
        return [n for n in [*[size] * count, final1, final2] if n]

    def _start(self) -> None:
        if self._running:
            return
        self._running = True
        self._run += 1
        if self.memory.integer(m.TRIGGER_MODE):
            return  # and no trigger ever comes
        x, y, width, height = (self.memory.integer(a) for a in (m.OFFSET_X, m.OFFSET_Y, m.WIDTH, m.HEIGHT))
        self._region_px, self._pieces = (x, y, width, height), self._payload_sizes()
        self._expose(self._run, 0, self._timeline.now_ns + round(START_S * NS))

    def _stop(self) -> None:
        self._running = False
        self._run += 1

    def _expose(self, run: int, block: int, t0_ns: int) -> None:
        exposure_ns = round(self.memory.real(m.EXPOSURE) * 1000)
        self._timeline.schedule(t0_ns + exposure_ns, lambda: self._read_out(run, block, t0_ns, exposure_ns))

    def _read_out(self, run: int, block: int, t0_ns: int, exposure_ns: int) -> None:
        """The exposure is over: render it, send it off, and begin the next one in its time."""
        if run != self._run:
            return
        memory, now_ns = self.memory, self._timeline.now_ns
        x, y, width, height = self._region_px
        spots = self._spots(t0_ns, now_ns)
        image = self._renderer.render(x, y, width, height, exposure_ns / NS, spots)
        if self._saturated:
            image[:] = FULL_WELL
        stamp = self.device_time_ns(t0_ns) + self._stamp_offset_ns
        leader = struct.pack("<IHHQHHQ", LEADER, 0, LEADER_SIZE, block, 0, IMAGE, stamp)
        leader += struct.pack("<IIIIIHH", MONO16, width, height, x, y, 0, 0)
        trailer = struct.pack("<IHHQHHQI", TRAILER, 0, TRAILER_SIZE, block, 0, 0, image.nbytes, height)
        rows_ns = round((READOUT_S + height * ROW_S) * NS)
        leave_ns = now_ns + rows_ns + round(image.nbytes * BUS_BYTE_S * NS)
        self._timeline.schedule(leave_ns, lambda: self._leave(run, leader, image.tobytes(), trailer))
        wanted_ns = round(NS / memory.real(m.FRAME_RATE)) if memory.integer(m.FRAME_RATE_ENABLE) else 0
        period_ns = max(wanted_ns, exposure_ns, rows_ns)
        self._expose(run, block + 1, t0_ns + period_ns)

    def _leave(self, run: int, leader: bytes, payload: bytes, trailer: bytes) -> None:
        enabled = self.memory.integer(m.SIRM + m.SI_CONTROL) & 1
        if run != self._run or not enabled or len(self._held) >= FRAMES_HELD:
            return
        if self._repeats:
            leader, payload, trailer = self._last or (leader, payload, trailer)
        self._last = leader, payload, trailer
        pieces, at = [leader], 0
        for size in self._pieces:
            if at < len(payload):
                pieces.append(payload[at : at + size])
            at += size
        pieces.append(trailer)
        self._transfers.extend(pieces)
        self._held.append(len(pieces))
        self.changed()


def _within(value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise Refused(m.INVALID_PARAMETER)
