"""The driver: trait FineLoop over the exchange."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hal.clock import NS, Clock
from hal.devices.beamboard.clockmap import ClockMap
from hal.devices.beamboard.dictionary import Dictionary
from hal.devices.beamboard.exchange import Exchange, Executed
from hal.errors import DeviceError, HalError, ProtocolError, WireError
from hal.traits import Capture, FineStatus, Identity
from hal.wires.opening import open_stream

PROTOCOL_VERSION = 1
HELLO, DICTIONARY = 0x01, 0x02  # the two that must be known before the dictionary
CHUNK_BYTES = 1000
CHUNK_FLOATS = 250
SETPOINTS_A_FRAME = 64
STATUS = struct.Struct("<BBHHHIII7f")
CAPTURE_HEAD = struct.Struct("<III")
CAPTURE_POLL_NS = NS // 200
GREETING_TIMEOUT_S = 0.4  # no watchdog of ours runs yet, and a board that was just plugged in may be slow
FLAGS = ("enabled", "interlock_closed", "quad_lost", "watchdog", "interlock", "capturing", "injecting")
QUAD_SCALE_RAD = 69.2e-6  # a Gaussian spot of 100 urad 1/e^2 radius on cells that reach to 100 urad

Section = tuple[float, float, float, float, float]  # b0, b1, b2, a1, a2 of a biquad, a0 = 1


class BeamBoard:
    """One beam board. Set-point, mirror and capture angles are line-of-sight radians in the mirror's own frame; quad
    angles are on the sky, by `quad_scale_rad` (radians per unit of normalised signal; set it once it is measured).

    Opening greets the board and fetches its dictionary; it changes nothing on the board. Raises ResourceError (port),
    WireTimeout (nobody answers), ProtocolError (another version). Methods raise WireError, WireTimeout, ProtocolError
    or DeviceError (the board refused; `.code` is its reason).
    """

    def __init__(
        self,
        resource: str,
        baud: int,
        clock: Clock,
        name: str = "beam_board",
        *,
        quad_scale_rad: float = QUAD_SCALE_RAD,
    ) -> None:
        self.name = name
        self.quad_scale_rad = quad_scale_rad
        self._clock = clock
        self._wire = open_stream(resource, clock, name, baud=baud)
        self._exchange = Exchange(self._wire, clock)
        self._capture_channels: tuple[str, ...] = ()
        self._capture_data = bytearray()
        patience_s, self._exchange.answer_timeout_s = self._exchange.answer_timeout_s, GREETING_TIMEOUT_S
        try:
            self._wire.drain()
            self._greet()
        except HalError:
            self._wire.close()
            raise
        self._exchange.answer_timeout_s = patience_s

    def status(self) -> FineStatus:
        """State now, and statistics since the previous status or heartbeat."""
        return self._status(self._ask("status", reply_room=64))

    def heartbeat(self, enable: bool) -> FineStatus:
        """Say that the host is alive and whether emission may be enabled; answers like `status`.

        The board latches when the next one does not come within 250 ms.
        """
        return self._status(self._ask("heartbeat", bytes([enable]), reply_room=64))

    def set_mode(self, mode: str) -> None:
        """idle (mirror to zero), setpoint or track. The last two need a fresh heartbeat."""
        if mode not in self._tables.modes:
            raise DeviceError(f"{self.name}: there is no mode {mode!r}; modes are {', '.join(self._tables.modes)}.")
        self._ask("mode", bytes([self._tables.modes.index(mode)]))

    def reset(self) -> None:
        """Clear the latches; emission stays off until a heartbeat asks for it again.

        A latched board comes back idle. When idle, the watchdog rests until the next heartbeat.
        """
        self._ask("reset")

    def setpoints(self, points: list[tuple[int, float, float]]) -> int:
        """Queue mirror set-points (monotonic ns, x_rad, y_rad); the board interpolates linearly between them.

        Returns how many more fit the board's queue.
        """
        free = int(self.dictionary["queue"])
        for start in range(0, len(points), SETPOINTS_A_FRAME):
            rows = points[start : start + SETPOINTS_A_FRAME]
            packed = b"".join(struct.pack("<Iff", self._map.tick_of(t_ns), x, y) for t_ns, x, y in rows)
            (free,) = self._unpack("<H", self._ask("setpoints", packed))
        return free

    def point_ahead(self, x_rad: float, y_rad: float) -> None:
        """Move the point-ahead element."""
        self._ask("point_ahead", struct.pack("<ff", x_rad, y_rad))

    def set_parameter(self, name: str, value: float) -> None:
        """Set a parameter of the dictionary, in its unit."""
        self._ask("set", struct.pack("<Bf", self._tables.parameter(name, self.name), value))

    def parameter(self, name: str) -> float:
        """Read a parameter of the dictionary."""
        (value,) = self._unpack("<f", self._ask("get", bytes([self._tables.parameter(name, self.name)])))
        return float(value)

    def set_filters(self, x_sections: Sequence[Section], y_sections: Sequence[Section]) -> None:
        """Load both axes' biquad cascades and take them over in one tick."""
        for axis, sections in enumerate((x_sections, y_sections)):
            for index, section in enumerate(sections):
                self._ask("section", struct.pack("<BB5f", axis, index, *section))
        self._ask("commit", bytes([len(x_sections), len(y_sections)]))

    def inject(
        self,
        axis: int,
        frequency_hz: float,
        amplitude_rad: float,
        duration_s: float,
        end_frequency_hz: float | None = None,
        *,
        before_filters: bool = False,
    ) -> None:
        """Add a sine, or a linear sweep to `end_frequency_hz`, to one axis' mirror command.

        With `before_filters` it enters the axis' cascade together with the loop's target instead.
        """
        end_hz = frequency_hz if end_frequency_hz is None else end_frequency_hz
        ticks = round(duration_s * self._tables.tick_rate_hz)
        self._ask("inject", struct.pack("<BfffIB", axis, frequency_hz, end_hz, amplitude_rad, ticks, before_filters))

    def start_capture(self, channels: tuple[str, ...], duration_s: float) -> None:
        """Record `channels` at the tick rate from the next tick on, in the board's memory; ends any capture before."""
        numbers = bytes(self._tables.channel(channel, self.name) for channel in channels)
        samples = round(duration_s * self._tables.tick_rate_hz)
        self._ask("capture", struct.pack("<I", samples) + numbers)
        self._capture_channels = channels
        self._capture_data = bytearray()

    def fetch_capture(self, chunks: int = 1) -> Capture | None:
        """Fetch up to `chunks` pieces of 1000 bytes; the capture once it is complete, None until then."""
        for _ in range(chunks):
            offset = len(self._capture_data) // 4
            reply = self._ask("read", struct.pack("<IH", offset, CHUNK_FLOATS), reply_room=CHUNK_BYTES)
            tick_start, wanted, _ = self._unpack(CAPTURE_HEAD, reply)
            self._capture_data += reply.payload[CAPTURE_HEAD.size :]
            got = len(self._capture_data) // 4
            if got >= wanted:
                samples = np.frombuffer(self._capture_data, dtype="<f4").astype(np.float64)
                rows = samples.reshape(-1, max(1, len(self._capture_channels)))
                return Capture(tick_start, self._tables.tick_rate_hz, self._capture_channels, rows)
            if got == offset:
                return None  # nothing new yet
        return None

    def capture(
        self, channels: tuple[str, ...], duration_s: float, between: Callable[[], object] | None = None
    ) -> Capture:
        """Record and fetch. `between` is called at least every 20 ms meanwhile (to keep the heartbeat going)."""
        self.start_capture(channels, duration_s)
        while (capture := self.fetch_capture()) is None:
            if between is not None:
                between()
            if len(self._capture_data) % (4 * CHUNK_FLOATS) or not self._capture_data:
                self._clock.sleep_until(self._clock.now_ns() + CAPTURE_POLL_NS)
        return capture

    def close(self) -> None:
        """Emission off, mirror to zero, watchdog at rest; then close the port."""
        try:
            self._ask("heartbeat", b"\x00")
            if not self.status().latches:  # a latch is for an operator to clear
                self.set_mode("idle")
                self.reset()
        except HalError:
            pass  # the board's own watchdog does the same within 250 ms
        finally:
            self._wire.close()

    def _greet(self) -> None:
        hello = self._exchange.ask(HELLO)
        version, self.serial, length = self._unpack("<HII", hello)
        if version != PROTOCOL_VERSION:
            raise ProtocolError(
                f"{self.name}: speaks version {version} of the beam-board protocol, this driver {PROTOCOL_VERSION}; "
                "update the older of the two."
            )
        text = b""
        while len(text) < length:
            ask = struct.pack("<IH", len(text), CHUNK_BYTES)
            chunk = self._exchange.ask(DICTIONARY, ask, reply_room=CHUNK_BYTES).payload
            if not chunk:
                raise ProtocolError(f"{self.name}: its data dictionary ends early; update its firmware.")
            text += chunk
        self._tables = Dictionary.parse(text, self.name)
        self.dictionary: dict[str, Any] = self._tables.raw
        self.identity: Identity = {"serial": f"{self.serial:08X}", "dictionary": self.dictionary}
        self._map = ClockMap(self._tables.tick_rate_hz)
        self._map.add(hello)

    def _ask(self, command: str, payload: bytes = b"", reply_room: int = 16) -> Executed:
        executed = self._exchange.ask(self._tables.commands[command], payload, reply_room)
        if jumped_s := self._map.jumped_s(executed):
            raise WireError(
                f"{self.name}: the beam board has started again meanwhile (its count jumped by {jumped_s:+.1f} s), and "
                "knows nothing of what it was told; check its power."
            )
        self._map.add(executed)
        return executed

    def _unpack(self, layout: str | struct.Struct, executed: Executed) -> tuple[Any, ...]:
        layout = struct.Struct(layout) if isinstance(layout, str) else layout
        if len(executed.payload) < layout.size:
            raise ProtocolError(f"{self.name}: sent a reply that is too short; update its firmware.")
        return layout.unpack_from(executed.payload)

    def _status(self, executed: Executed) -> FineStatus:
        mode, bits, queued, _, _, ticks, saturated, lost, *floats = self._unpack(STATUS, executed)
        if mode >= len(self._tables.modes):
            raise ProtocolError(f"{self.name}: reports mode {mode}, which its dictionary lacks; update its firmware.")
        x, y, xx, yy, total, mirror_x, mirror_y = (float(value) for value in floats)
        if not all(map(math.isfinite, floats)):
            raise ProtocolError(f"{self.name}: reports a value that is no number; reset it, or update its firmware.")
        flag = {name: bool(bits >> i & 1) for i, name in enumerate(FLAGS)}
        scale = self.quad_scale_rad
        return FineStatus(
            t_ns=self._map.ns_of(executed.tick),
            tick=executed.tick,
            mode=self._tables.modes[mode],
            enabled=flag["enabled"],
            interlock_closed=flag["interlock_closed"],
            quad_mean_rad=(x * scale, y * scale),
            quad_rms_rad=(math.sqrt(max(0.0, xx)) * scale, math.sqrt(max(0.0, yy)) * scale),
            quad_sum=total,
            mirror_mean_rad=(mirror_x, mirror_y),
            saturated_ticks=saturated,
            ticks=ticks,
            quad_lost_ticks=lost,
            setpoints_queued=queued,
            latches=tuple(name for name in ("watchdog", "interlock") if flag[name]),
            busy=flag["capturing"] or flag["injecting"],
        )
