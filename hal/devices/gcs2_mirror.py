"""A tip/tilt platform of Physik Instrumente on a controller that speaks GCS 2 (S-330, S-334 with an E-727): a mirror.

Their words are those of hal/devices/gcs2_talk.py, the axes' unit, limits and state are asked. Angles are the platform's
own, from the middle of what the controller allows; a beam that it reflects turns by twice. It goes to where it is sent
in milliseconds, closed by its own servo, and stays there when nobody talks to it. With the servo off it moves for
nobody. Its line is far too slow for the fine loop: that is a mirror on the beam board.
"""

from __future__ import annotations

import math
from typing import Final

from hal.clock import Clock
from hal.devices.gcs2_talk import NOT_READY, STOPPED, UNIT, Gcs2Talk
from hal.errors import DeviceError, HalError, WireTimeout
from hal.traits import MirrorCapabilities, MirrorStatus, Pair
from hal.wires.opening import open_stream

UNITS_RAD: Final = {"URAD": 1e-6, "MRAD": 1e-3, "RAD": 1.0, "DEG": math.radians(1.0)}
MICRO: Final = str.maketrans("µμ", "uu")  # the sign, and the Greek letter


def radians_of(unit: str) -> float | None:
    """How many radians one of a unit is; None for what is no angle."""
    return UNITS_RAD.get(unit.strip().translate(MICRO).upper())


class Gcs2Mirror(Gcs2Talk):
    """Implements SteeringMirror. Opening it stops it where it is, and leaves its servo as it is.

    `axes` tip it about x and y, as the controller calls them. `reach_rad` is how far the station lets it go to either
    side of its middle. Raises ResourceError, HalError when it is deaf, DeviceError for axes that are no angles.
    """

    def __init__(
        self, resource: str, baud: int, clock: Clock, name: str = "mirror", *, axes: tuple[str, str], reach_rad: float,
        resolution_rad: float, settling_s: float,
    ) -> None:  # fmt: skip
        self._clock, self._name, self._axis_names = clock, name, axes
        self._wire = open_stream(resource, clock, name, baud=baud)
        try:
            self._begin(reach_rad, resolution_rad, settling_s)
        except HalError:
            self.close()
            raise

    def status(self) -> MirrorStatus:
        """Where it is, whether that is where it was sent, and its servo. Raises WireError, ProtocolError."""
        moving = self._moving()  # three answers of unlike looks in turn: one that comes twice is none of the next
        x_rad, y_rad = self._angles("POS?")
        asked_ns = self._lines.asked_ns
        powered = self._powered()
        still = not any(moving >> bit & 1 for bit in self._bits)
        return MirrorStatus(asked_ns, x_rad, y_rad, still and powered, powered)

    def go_to(self, x_rad: float, y_rad: float) -> None:
        """Be there at once, cut to its reach. Raises ValueError when that is not finite, DeviceError without servo."""
        if not (math.isfinite(x_rad) and math.isfinite(y_rad)):
            raise ValueError(f"{self._name}: the angles {x_rad}, {y_rad} are not finite.")
        words = ["MOV"]
        for axis, angle_rad, ends in zip((0, 1), (x_rad, y_rad), self.capabilities.reach_rad, strict=True):
            counted = self._middle[axis] + min(ends[1], max(ends[0], angle_rad)) / self._unit_rad[axis]
            words += [self._axis_names[axis], f"{counted:.6f}"]
        try:
            self._tell(" ".join(words))
        except DeviceError as error:
            if error.code == NOT_READY and not self._powered():
                raise DeviceError(
                    f"{self._name}: its servo is off and it does not move; say `boresight rig mirror --power on`.",
                    error.code,
                ) from None
            raise

    def stop(self) -> None:
        """Stay where it is."""
        self._tell("STP", but=STOPPED)

    def power(self, on: bool) -> None:
        """Its servo holds it, or lets go of it. Raises DeviceError unless it says so then."""
        for axis in self._axis_names:
            self._tell(f"SVO {axis} {int(on)}")
        if self._powered() != on:
            state = "on" if on else "off"
            raise DeviceError(f"{self._name}: its servo was switched {state} and is not; see its front panel.")

    def close(self) -> None:
        """Let go of the controller; the mirror stays as it is."""
        self._wire.close()

    def _begin(self, reach_rad: float, resolution_rad: float, settling_s: float) -> None:
        self._meets(self._wire, self._clock)
        axes = self._axes()
        for axis in self._axis_names:
            if axis not in axes:
                raise DeviceError(
                    f'{self._name}: it has no axis "{axis}", but {", ".join(axes)}; correct x_axis and y_axis in the '
                    "rig file, [mirror]."
                )
        self._bits = [axes.index(axis) for axis in self._axis_names]
        self._unit_rad = [self._unit(axis) for axis in self._axis_names]
        self.stop()
        low, high = self._axis_numbers("TMN?", self._axis_names), self._axis_numbers("TMX?", self._axis_names)
        self._middle = [(lowest + highest) / 2 for lowest, highest in zip(low, high, strict=True)]
        reach: list[Pair] = []
        for lowest, highest, unit_rad in zip(low, high, self._unit_rad, strict=True):
            half = min(reach_rad, (highest - lowest) / 2 * unit_rad)
            if not half > resolution_rad:
                raise DeviceError(
                    f"{self._name}: its controller allows {lowest:g} to {highest:g} only; see its limits."
                )
            reach.append((-half, half))
        self.capabilities = MirrorCapabilities((reach[0], reach[1]), resolution_rad, settling_s)
        self._lines.ask(b"ERR?\n")
        self.identity = self._who()

    def _unit(self, axis: str) -> float:
        """Radians of one unit of an axis, by its parameter, or by `PUN?`, as controllers of other families tell."""
        for question in (f"SPA? {axis} {UNIT}", f"PUN? {axis}"):
            try:
                unit = self._lines.ask(f"{question}\n".encode()).rpartition(b"=")[2].decode("latin-1")
            except WireTimeout:
                continue  # it does not know the question
            if (unit_rad := radians_of(unit)) is not None:
                return unit_rad
            raise DeviceError(f"{self._name}: its axis {axis} counts in {unit.strip()[:16]!r}, which is no angle.")
        raise DeviceError(f"{self._name}: its axis {axis} does not say in which unit it counts; see its parameters.")

    def _angles(self, question: str) -> Pair:
        x, y = (
            (counted - middle) * unit_rad
            for counted, middle, unit_rad in zip(
                self._axis_numbers(question, self._axis_names), self._middle, self._unit_rad, strict=True
            )
        )
        return x, y

    def _powered(self) -> bool:
        """The servo of each axis is on."""
        lines = [line.strip() for line in self._all_lines(f"SVO? {' '.join(self._axis_names)}\n")]
        for axis, line in zip(self._axis_names, lines, strict=False):
            if line not in (f"{axis}=0".encode(), f"{axis}=1".encode()):
                raise self._nonsense("whether its servo is on", line)
        if len(lines) != len(self._axis_names):
            raise self._nonsense("whether its servos are on", b"\n".join(lines))
        return all(line.endswith(b"=1") for line in lines)
