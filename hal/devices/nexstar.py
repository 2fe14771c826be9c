"""Celestron NexStar mounts through their hand controller's serial port.

Celestron, "NexStar Communication Protocol": one-letter commands; angles as fractions of a turn in hexadecimal; rates
in quarters of an arc second a second, passed through to the motor boards. Replies end in `#`. The mount keeps its last
rate when the host goes silent, so something else must stop it then: see hal/guardian.py.
"""

from __future__ import annotations

import math
import re

from hal.clock import NS, Clock, Deadline
from hal.devices.soft_travel import ENDLESS, SoftTravel, sector, shown
from hal.errors import DeviceError, HalError, ProtocolError, WireTimeout
from hal.traits import AxisPosition, GimbalCapabilities, Identity, Pair
from hal.wires.opening import open_stream
from hal.wires.stream import StreamWire

ECHO_TIMEOUT_S = 0.2  # the hand controller echoes without asking a motor board
IN_DOUBT_S = 0.2  # for the answer after a lost one: a mount that is lost is to be stopped, and that soon
OPENING_ECHOES = 3  # asked for before a mount is taken for absent
REPLY_TIMEOUT_S = 0.4  # replies take 35 ms; the document's worst case (3.5 s) is too late for a moving telescope
RATE_STEP_RAD_S = math.pi / 648_000 / 4
RATE_STEPS_MAX = 0xFFFF
RESOLUTION_RAD = math.tau / (1 << 24)
FIRMWARE_MIN = (2, 2)  # the first with 32-bit azimuth and altitude
MOTORS = {"azimuth": 0x10, "elevation": 0x11}
END = b"#"
# Completes whatever half a command the controller holds, at a rate of nearly nothing; means nothing by itself.
FILLER = bytes(8)
_PRECISE_ANGLES = re.compile(rb"([0-9A-F]{8}),([0-9A-F]{8})#")


def rate_command(board: int, rate_rad_s: float) -> bytes:
    """The eight bytes that give a motor board a rate, rounded to a quarter of an arc second a second."""
    steps = min(round(abs(rate_rad_s) / RATE_STEP_RAD_S), RATE_STEPS_MAX)
    return bytes([ord("P"), 3, board, 6 if rate_rad_s >= 0 else 7, steps >> 8, steps & 0xFF, 0, 0])


#: Whatever the state of the line, a mount that still hears stops.
BLIND_STOP = FILLER + b"".join(rate_command(board, 0.0) for board in MOTORS.values())


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring both axes to rest, knowing nothing of the state of mount or line.

    For whoever takes over from a dead owner: says it blindly first, because that is fastest, then until it is
    acknowledged. Raises HalError when the mount has not acknowledged both stops.
    """
    controller = HandController(wire, clock)
    controller.say(BLIND_STOP)
    for axis in MOTORS:
        controller.set_rate(axis, 0.0)


class HandController:
    """Question and answer with a hand controller, which answers in order and one question at a time.

    After a time-out or garbage a reply may still be on its way; before the next question the controller is then made
    to echo a byte that tells old from new, so a late reply is never the answer to the next query.
    """

    def __init__(self, wire: StreamWire, clock: Clock) -> None:
        self.asked_ns = 0  # when the latest question went out
        self._wire = wire
        self._clock = clock
        self._name = wire.name
        self._in_step = False
        self._answered = False  # ever
        self._echo = 0

    def say(self, commands: bytes) -> None:
        """Send what no answer is waited for, whatever the state of the line."""
        self._in_step = False
        self._wire.write(commands)

    def ask(self, command: bytes, n: int) -> bytes:
        """The `n` bytes that answer `command`."""
        timeout_s = REPLY_TIMEOUT_S
        if self._wire.drain() or not self._in_step:  # what nobody asked for is as bad as what did not come
            self._resynchronise()
            if self._answered:
                timeout_s = IN_DOUBT_S
        self._in_step = False  # until the whole reply is here
        self.asked_ns = self._clock.now_ns()
        self._wire.write(command)
        reply = self._wire.read(n, timeout_s)
        self._in_step = self._answered = True
        return reply

    def tell(self, command: bytes, what: str) -> None:
        """Send a command that is only acknowledged."""
        reply = self.ask(command, 1)
        if reply == END:
            return
        # One byte before the end mark: the hand controller could not reach the motor board.
        self._in_step = False  # until that mark is here
        if self._wire.read(1, IN_DOUBT_S) == END:
            self._in_step = True
            raise DeviceError(f"{self._name}: the motor board did not take {what}; check the cables of the mount.")
        raise self.garbage(f"an acknowledgement of {what}", reply)

    def set_rate(self, axis: str, rate_rad_s: float) -> None:
        """Give one axis a rate."""
        self.tell(rate_command(MOTORS[axis], rate_rad_s), f"the {axis} rate")

    def garbage(self, wanted: str, got: bytes) -> ProtocolError:
        """The error for a reply that the protocol does not allow; the next question re-synchronises."""
        self._in_step = False
        return ProtocolError(f"{self._name}: sent {got!r} instead of {wanted}; check cable and earthing.")

    def _resynchronise(self) -> None:
        """At first patiently: the line may hold anything. Later a lost echo is one more lost answer, for who asked."""
        for _ in range(1 if self._answered else OPENING_ECHOES):
            self._wire.drain()
            self._echo = (self._echo + 1) % 0x80
            wanted = bytes([0x80 + self._echo]) + END  # no other reply contains such a byte
            self._wire.write(FILLER + b"K" + wanted[:1])
            deadline = Deadline(self._clock, ECHO_TIMEOUT_S)
            try:
                while not self._wire.read_until(END, deadline.remaining_s, 32).endswith(wanted):
                    pass
            except WireTimeout:
                continue
            self._in_step = True
            return
        raise WireTimeout(
            f"{self._name}: no NexStar hand controller answers; check that the mount is on, that the cable is in the "
            "hand controller's own port, and that the rig file names the right port."
        )


class NexStar:
    """An alt-az NexStar mount; implements Gimbal.

    Opening checks that a hand controller answers, ends its own tracking and any goto, and brings both axes to rest.
    `rate_max_rad_s`, `acceleration_max_rad_s2` and `command_latency_s` (last byte of a rate command to motion) are the
    mount's data; the protocol cannot be asked for them. No rate carries elevation out of `elevation_rad`, its soft
    limits, and none carries azimuth out of `azimuth_rad` where that is less than a turn; else the turns of its cables
    are counted by whoever gives rates for hours.

    Raises ResourceError (port), WireTimeout (nobody answers) or DeviceError (firmware too old).
    """

    def __init__(
        self,
        resource: str,
        baud: int,
        clock: Clock,
        name: str = "gimbal",
        *,
        rate_max_rad_s: float,
        acceleration_max_rad_s2: float,
        command_latency_s: float,
        elevation_rad: Pair = ENDLESS,
        azimuth_rad: Pair = ENDLESS,
    ) -> None:
        self._azimuth_rad = sector(name, azimuth_rad)
        self.capabilities = GimbalCapabilities(
            rate_max_rad_s=rate_max_rad_s,
            acceleration_max_rad_s2=acceleration_max_rad_s2,
            resolution_rad=RESOLUTION_RAD,
            rate_resolution_rad_s=RATE_STEP_RAD_S,
            command_latency_s=command_latency_s,
            keeps_moving_when_silent=True,
            travel_rad=None if self._azimuth_rad == ENDLESS else (self._azimuth_rad, elevation_rad),
        )
        self._name = name
        self._soft_travel = SoftTravel(clock, (self._azimuth_rad, elevation_rad))
        self._byte_ns = 10 * NS // baud
        self._wire = open_stream(resource, clock, name, baud=baud)
        self._controller = HandController(self._wire, clock)
        try:
            self._begin()
        except HalError:
            self._wire.close()
            raise

    def position(self) -> AxisPosition:
        """Encoder angles of both axes, azimuth in [0, 2 pi), or by its soft limits, and elevation in [-pi, pi).

        The time is when the question has arrived at the hand controller: it reads the encoders then.
        """
        reply = self._controller.ask(b"z", 18)
        match = _PRECISE_ANGLES.fullmatch(reply)
        if match is None:
            raise self._controller.garbage("angles", reply)
        azimuth_rad, elevation_rad = (int(digits, 16) / (1 << 32) * math.tau for digits in match.groups())
        if elevation_rad >= math.pi:
            elevation_rad -= math.tau
        azimuth_rad = shown(azimuth_rad, self._azimuth_rad)
        here = AxisPosition(self._controller.asked_ns + self._byte_ns, azimuth_rad, elevation_rad)
        return self._soft_travel.saw(here)

    def set_rate(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        """Give both axes a rate, azimuth first; a rate above `rate_max_rad_s` becomes that rate.

        Raises ValueError when a rate is not finite: nothing is sent then. Elevation stops at the end of its travel.
        """
        if not (math.isfinite(azimuth_rad_s) and math.isfinite(elevation_rad_s)):
            raise ValueError(f"{self._name}: the rates {azimuth_rad_s}, {elevation_rad_s} rad/s are not finite.")
        rates = self._soft_travel.allowed(azimuth_rad_s, elevation_rad_s, self.capabilities, self.position)
        for axis, rate_rad_s in zip(("azimuth", "elevation"), rates, strict=True):
            self._controller.set_rate(axis, rate_rad_s)
        self._soft_travel.sent(*rates)

    def stop(self) -> None:
        """Bring both axes to rest. Raises HalError when the mount has not acknowledged both stops.

        Both are told at once before anything is waited for: a mount whose answers are lost or slow may still hear, and
        this process may have its next turn late.
        """
        self._soft_travel.rests()
        self._controller.say(BLIND_STOP)
        for axis in MOTORS:
            self._controller.set_rate(axis, 0.0)

    def close(self) -> None:
        """Close the port. Does not stop the mount: `stop` does."""
        self._wire.close()

    def _begin(self) -> None:
        version = self._controller.ask(b"V", 3)
        if version[2:] != END:
            raise self._controller.garbage("a version", version)
        if (version[0], version[1]) < FIRMWARE_MIN:
            raise DeviceError(
                f"{self._name}: hand controller firmware {version[0]}.{version[1]} has no 32-bit angles; "
                f"update it to {FIRMWARE_MIN[0]}.{FIRMWARE_MIN[1]} or later."
            )
        self.identity: Identity = {"model": "NexStar", "firmware": f"{version[0]}.{version[1]}"}
        self._controller.tell(b"M", "the end of its goto")
        self._controller.tell(b"T\x00", "the end of its own tracking")
        self.stop()
