"""A USB3 Vision camera as the tracking loop wants it: regions, exposure, frames with the host's time on them."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from hal.clock import NS, Clock, Deadline
from hal.devices.u3v import bootstrap, stream
from hal.devices.u3v.bootstrap import TIMESTAMP, TIMESTAMP_LATCH
from hal.devices.u3v.features import Features
from hal.devices.u3v.gencp import ControlChannel
from hal.devices.u3v.timestamps import ClockMap
from hal.errors import DeviceError, HalError, ProtocolError, WireTimeout
from hal.traits import Frame, Region
from hal.wires.opening import open_usb

SI_INFO, SI_CONTROL, SI_REQUIRED_PAYLOAD = 0x00, 0x04, 0x08
SI_MAX_LEADER, SI_TRANSFER_SIZE, SI_MAX_TRAILER = 0x18, 0x1C, 0x2C
LEADER_MAX = TRAILER_MAX = 1024
FIRST_LATCHES = 16
LATCH_EVERY_S = 2.0
RESYNC_TRANSFERS = 4096
FREE_RUNNING = ("TriggerMode", "ExposureAuto", "GainAuto")  # off, where a camera has them
RATE_ENABLE = "AcquisitionFrameRateEnable"


class U3vCamera:
    """A camera at `resource` (`usb://VID:PID/SERIAL`, `usbip://HOST:PORT/BUSID`), implementing trait Camera.

    Every method may raise WireTimeout (it does not answer in time), WireError (it is gone), DeviceError (it refuses)
    and ProtocolError (it sends nonsense; the next read finds the next frame).
    """

    def __init__(self, resource: str, clock: Clock, name: str = "camera") -> None:
        self.name = name
        self.lost = 0  # frames that the block ids say were lost, in all
        self._clock = clock
        self._wire = open_usb(resource, name, clock)
        try:
            self._open()
        except BaseException:
            self._wire.close()
            raise

    def _open(self) -> None:
        ends = bootstrap.find_endpoints(self._wire)
        self._wire.claim(ends.control_interface)
        self._wire.claim(ends.stream_interface)
        self._stream_in = ends.stream_in
        self._control = ControlChannel(self._wire, ends.control_out, ends.control_in, self._clock)
        self._control.drain()
        maps = bootstrap.read_maps(self._control, self.name)
        self.identity = bootstrap.read_names(self._control)
        self._sirm = maps.sirm
        self._features = Features(maps.genicam, self._control, self.name)
        self._times = ClockMap(maps.timestamp_ns_tick)
        self._sensor = Region(0, 0, int(self._features.get("SensorWidth")), int(self._features.get("SensorHeight")))
        self._last_block: int | None = None
        self._synchronised = False
        self._streaming = True  # whoever had it before may have left it so
        self.stop()
        self._features.choose("PixelFormat", "Mono16")
        self._features.choose("AcquisitionMode", "Continuous")
        for feature in FREE_RUNNING:
            if self._features.has(feature):
                self._features.choose(feature, "Off")
        if self._features.has(RATE_ENABLE):
            self._features.set(RATE_ENABLE, 1)
        self._exposure_s = 0.0
        self._plan = stream.plan_transfers(0, 1)
        for _ in range(FIRST_LATCHES):
            self._latch()

    @property
    def sensor(self) -> Region:
        """The whole sensor, in pixels."""
        return self._sensor

    @property
    def clock_drift(self) -> float:
        """Measured drift of the camera's clock: host seconds in a camera second, less one."""
        return self._times.drift

    def configure(self, exposure_s: float, frame_rate_hz: float, region: Region) -> None:
        """Set exposure, rate and region; a running stream is stopped and started again.

        The region's corner is rounded down and its size up to the camera's steps; each frame tells its own region.
        """
        running = self._streaming
        if running:
            self.stop()
        x, width = self._stepped("X", "Width", region.x, region.width, self._sensor.width)
        y, height = self._stepped("Y", "Height", region.y, region.height, self._sensor.height)
        self._features.set("OffsetX", 0)  # so that no intermediate state reaches beyond the sensor
        self._features.set("OffsetY", 0)
        self._features.set("Width", width)
        self._features.set("Height", height)
        self._features.set("OffsetX", x)
        self._features.set("OffsetY", y)
        self._features.set("ExposureTime", exposure_s * 1e6)
        self._features.set("AcquisitionFrameRate", frame_rate_hz)
        self._exposure_s = self._features.get("ExposureTime") * 1e-6
        if running:
            self.start()

    def start(self) -> None:
        """Begin to stream."""
        alignment = 1 << (self._control.read_u32(self._sirm + SI_INFO) >> 24)
        payload = self._control.read_u64(self._sirm + SI_REQUIRED_PAYLOAD)
        self._plan = plan = stream.plan_transfers(payload, alignment)
        settings = (LEADER_MAX, plan.size, plan.count, plan.final1, plan.final2, TRAILER_MAX)
        for i, value in enumerate(settings):
            self._control.write_u32(self._sirm + SI_MAX_LEADER + 4 * i, value)
        if not self._exposure_s:
            self._exposure_s = self._features.get("ExposureTime") * 1e-6
        self._last_block, self._synchronised = None, False
        self._control.write_u32(self._sirm + SI_CONTROL, 1)
        self._features.execute("AcquisitionStart")
        self._streaming = True

    def read(self, timeout_s: float) -> Frame:
        """The next frame. Raises ProtocolError for a broken one, after which reading goes on with the next."""
        if not self._streaming:
            raise DeviceError(f"{self.name}: does not stream; start it before reading a frame")
        deadline = Deadline(self._clock, timeout_s)
        if self._clock.now_ns() - self._latched_ns >= LATCH_EVERY_S * NS:
            self._latch()
        leader = self._leader(deadline)
        try:
            image = self._image(leader, deadline)
        except (ProtocolError, WireTimeout):
            self._synchronised = False
            raise
        if self._last_block is not None and leader.block <= self._last_block:
            raise ProtocolError(f"{self.name}: sends frame {leader.block} again, which is no new image; restart it")
        dropped = 0 if self._last_block is None else leader.block - self._last_block - 1
        self._last_block = leader.block
        self.lost += dropped
        t_mid_ns = self._times.host_ns(leader.timestamp) + round(self._exposure_s * NS / 2)
        region = Region(leader.x, leader.y, leader.width, leader.height)
        return Frame(t_mid_ns, self._exposure_s, region, image, leader.block, dropped)

    def stop(self) -> None:
        """End streaming; frames that were not read are dropped."""
        if self._streaming:
            self._features.execute("AcquisitionStop")
            self._control.write_u32(self._sirm + SI_CONTROL, 0)
            self._wire.drain(self._stream_in, stream.LONGEST_TRANSFER)
            self._streaming = False

    def close(self) -> None:
        """Stop and release the camera; does not fail when it is gone."""
        with suppress(HalError):
            self.stop()
        self._wire.close()

    def _latch(self) -> None:
        before_ns = self._clock.now_ns()
        self._control.write_u32(TIMESTAMP_LATCH, 1)
        after_ns = self._clock.now_ns()
        self._times.add(before_ns, self._control.read_u64(TIMESTAMP), after_ns)
        self._latched_ns = after_ns

    def _stepped(self, axis: str, size_name: str, start: int, size: int, limit: int) -> tuple[int, int]:
        step, size_step = self._features.increment(f"Offset{axis}"), self._features.increment(size_name)
        first = max(0, start) // step * step
        length = -(-(start + size - first) // size_step) * size_step
        if not 0 < length <= limit - first:
            raise DeviceError(
                f"{self.name}: a region of {size} pixels from {start} does not fit a sensor of {limit}; choose another"
            )
        return first, length

    def _transfer(self, n: int, deadline: Deadline) -> bytes:
        return self._wire.bulk_in(self._stream_in, n, deadline.remaining_s)

    def _leader(self, deadline: Deadline) -> stream.Leader:
        """The next leader; what precedes it is dropped in silence only where the stream is known to be broken."""
        for _ in range(RESYNC_TRANSFERS):
            data = self._transfer(LEADER_MAX if self._synchronised else stream.LONGEST_TRANSFER, deadline)
            if self._synchronised or data[:4] == stream.LEADER_PREFIX:
                self._synchronised = False
                leader = stream.parse_leader(data, self.name)
                self._synchronised = True
                return leader
        raise ProtocolError(f"{self.name}: no frame begins in its stream; stop and start it, or power-cycle the camera")

    def _image(self, leader: stream.Leader, deadline: Deadline) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
        size = 2 * leader.width * leader.height
        payload, left = bytearray(), size
        for length in self._plan.sizes:
            expected = min(length, left)
            data = self._transfer(length, deadline)
            if len(data) != expected:
                raise ProtocolError(
                    f"{self.name}: {len(payload) + len(data)} of {size} bytes of frame {leader.block} came; "
                    "the stream is re-synchronised"
                )
            payload += data
            left -= expected
        trailer = stream.parse_trailer(self._transfer(TRAILER_MAX, deadline), self.name)
        if trailer.block != leader.block or trailer.status or trailer.size != size or left:
            raise ProtocolError(
                f"{self.name}: frame {leader.block} ends as frame {trailer.block} with status {trailer.status:#06x} "
                f"and {trailer.size} of {size} bytes; it is dropped"
            )
        return np.frombuffer(payload, dtype="<u2").reshape(leader.height, leader.width)
