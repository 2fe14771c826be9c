"""A telescope behind an ASCOM Alpaca server, by ITelescopeV3, or V4, which tells both angles in one answer.

An alt-azimuth mount whose axes can be moved is tracked by rates (MoveAxis), at the speeds that it names (AxisRates);
any other is sent to directions (SlewToAltAzAsync). Positive rates are taken to raise azimuth and altitude, but for the
axes that the rig file calls reversed; one that turns the other way is stopped. Alpaca has no watchdog: a telescope
whose client has gone keeps its rate, or goes on to where it was sent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from hal.clock import Clock, Deadline
from hal.devices.alpaca.rates import as_told, at_most, gaps_of, in_both, ranges_of
from hal.devices.alpaca.server import NOT_IMPLEMENTED, PARKED, Server, state_of
from hal.devices.alpaca.ways import Way
from hal.devices.rate_rotator import RateRotator
from hal.devices.rotator import Rotator, Travel
from hal.errors import DeviceError, HalError
from hal.traits import AxisPosition, Drives, DriveState, GimbalCapabilities, Identity, Pair
from hal.wires.opening import open_stream
from hal.wires.stream import StreamWire

AXES = AZIMUTH, ALTITUDE = 0, 1
NAMES = "azimuth", "elevation"  # in the rig file
OPENING_TIMEOUT_S = 5.0  # of an answer while the server begins to talk to its telescope
WITH_STATE = 4  # InterfaceVersion
STOPPING_S = 2.0
ALT_AZIMUTH = 0  # of AlignmentMode
TURN_DEG = 360.0


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring both axes to rest, knowing nothing of the telescope. Raises HalError unless it is acknowledged."""
    _stop(Server(wire, clock), AXES)


def _stop(server: Server, axes: Iterable[int]) -> None:
    """End a slew, and the motion of `axes`: all of it, whatever is refused or lost. Raises the first error.

    A server that cannot be reached is not tried for ever: whoever stops has more to do.
    """
    errors: list[HalError] = []
    deadline = Deadline(server.clock, STOPPING_S)
    acknowledged = False
    orders: list[tuple[str, dict[str, object]]] = [("abortslew", {})]
    orders += [("moveaxis", {"Axis": axis, "Rate": 0}) for axis in axes]
    for member, parameters in orders:
        if errors and deadline.expired:
            break
        try:
            server.put(member, **parameters)
            acknowledged = True
        except DeviceError as error:
            acknowledged |= error.code == PARKED  # so it stands
            if error.code not in (NOT_IMPLEMENTED, PARKED):  # what cannot move so does not move so
                errors.append(error)
        except HalError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    if not acknowledged:
        raise DeviceError(f"{server.name}: the Alpaca server stops nothing of its telescope; use the motion cut-off.")


class Alpaca(RateRotator):
    """Opening it connects the server to its telescope, ends a parking and its own tracking, and brings it to rest.

    Azimuth has no stops that Alpaca tells. Soft limits of less than a turn hold; else it is taken to turn for ever.
    `reversed_axes` of "azimuth" and "elevation" are those whose positive rates lower the angle.
    """

    model = "Alpaca"
    drives_told = Drives(frozenset({"on", "parked"}), frozenset({"on"}))
    step_deg = 1.0 / 3600  # what the protocol does not tell
    reach_deg = ((-TURN_DEG, TURN_DEG), (-90.0, 90.0))
    leg_deg = 90.0  # sent there by hand it would go the other way round

    def __init__(self, *where: Any, reversed_axes: Iterable[str] = (), **limits: Any) -> None:
        self._signs = [-1 if name in tuple(reversed_axes) else 1 for name in NAMES]
        super().__init__(*where, **limits)

    def _begin(self) -> None:
        self._server = Server(self._wire, self._clock, self._renewed)
        patience_s, self._server.reply_timeout_s = self._server.reply_timeout_s, OPENING_TIMEOUT_S
        self._server.put("connected", Connected="true")
        if self._wakes and self._server.flag("atpark"):
            self._server.put("unpark")
        if self._server.flag("tracking"):
            self._server.put("tracking", Tracking="false")
        self._interface = round(self._server.number("interfaceversion", "its interfaceversion", 1, 100))
        self._slews = self._server.flag("canslewaltazasync")
        self._slewing = False
        self._turns = self._alignment() == ALT_AZIMUTH and all(
            self._server.flag("canmoveaxis", Axis=axis) for axis in AXES
        )
        self._ranges_deg_s = [self._axis_rates(axis) for axis in AXES] if self._turns else []
        self._server.reply_timeout_s = patience_s

    def _identify(self) -> Identity:
        told = ("name", "description", "driverinfo", "driverversion")
        return {"model": self.model, "interface": self._interface} | {key: self._server.text(key) for key in told}

    def set_rate(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        """As RateRotator's; as Rotator's, where its axes cannot be moved."""
        turn = super().set_rate if self._turns else partial(Rotator.set_rate, self)
        turn(azimuth_rad_s, elevation_rad_s)

    def position(self) -> AxisPosition:
        """Both angles. Raises DeviceError, after a stop, when an axis turns the other way than it was told."""
        here = super().position()
        angles = here.azimuth_rad, here.elevation_rad
        for name, way, angle in zip(NAMES, self._ways, angles, strict=True):
            if way.wrong(angle, here.t_ns):
                self._halt()
                raise DeviceError(
                    f"{self._name}: its {name} turns the other way than it was told, so it was stopped; write "
                    f'reversed_axes = ["{name}"] in the rig file, [{self._name}], or take the name out of it.'
                )
        return here

    def _read(self) -> tuple[float, float, int, int]:
        server = self._server
        if self._interface >= WITH_STATE:
            state = state_of(server.get("devicestate", "its angles"))
            azimuth_deg = server.as_number(state.get("Azimuth"), "its angles", -TURN_DEG, TURN_DEG)
            altitude_deg = server.as_number(state.get("Altitude"), "its angles", -90.0, 90.0)
            return self._shown(azimuth_deg), altitude_deg, (server.asked_ns + self._clock.now_ns()) // 2, 0
        azimuth_deg = server.number("azimuth", "its angles", -TURN_DEG, TURN_DEG)
        altitude_deg = server.number("altitude", "its angles", -90.0, 90.0)
        return self._shown(azimuth_deg), altitude_deg, server.asked_ns, 0  # between the answers

    def _read_ns(self, asked_ns: int, line_bytes: int) -> int:
        return asked_ns

    def _shown(self, azimuth_deg: float) -> float:
        """With its turn, where there are limits."""
        if not self._limited:
            return azimuth_deg % TURN_DEG
        middle = (self._low_deg[AZIMUTH] + self._high_deg[AZIMUTH]) / 2
        return middle + math.remainder(azimuth_deg - middle, TURN_DEG)

    def _send_to(self, azimuth_deg: float, elevation_deg: float) -> None:
        azimuth, elevation = (
            min(high, max(low, angle))
            for low, angle, high in zip(self._low_deg, (azimuth_deg, elevation_deg), self._high_deg, strict=True)
        )
        self._go(azimuth, elevation)

    def _go(self, azimuth_deg: float, elevation_deg: float) -> None:
        if not self._slews:
            raise DeviceError(f"{self._name}: its telescope takes rates only; it cannot be sent to directions.")
        if any(self._soft_travel.rates):
            self._turn(0.0, 0.0)  # which ends the watch of their ways, too
        self._slewing = True
        azimuth = round(azimuth_deg, 6) % TURN_DEG
        self._server.put("slewtoaltazasync", Azimuth=f"{azimuth:.6f}", Altitude=f"{elevation_deg:.6f}")

    def _drives(self) -> tuple[DriveState, DriveState]:
        state: DriveState = "parked" if self._server.flag("atpark") else "on"
        return state, state

    def _power(self, on: bool) -> None:
        if self._server.flag("atpark"):
            self._server.put("unpark")

    def _turn(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        if self._slewing:
            self._server.put("abortslew")
            self._slewing = False
        for axis, rate_rad_s in enumerate((azimuth_rad_s, elevation_rad_s)):
            rate = as_told(self._speeds_deg_s, math.degrees(self._signs[axis] * rate_rad_s))
            self._server.put("moveaxis", Axis=axis, Rate=rate)
            self._ways[axis].told(rate_rad_s, self._clock.now_ns())

    def _halt(self) -> None:
        self._slewing = False
        self._soft_travel.rests()
        for way in self._ways:
            way.told(0.0, self._clock.now_ns())
        _stop(self._server, AXES if self._turns else ())

    def _within(self, azimuth_rad_s: float, elevation_rad_s: float) -> Pair:
        """Speeds that it has, so slow that it stops before the end of its travel."""
        able = self.capabilities
        azimuth, elevation = (
            math.copysign(math.radians(at_most(self._speeds_deg_s, math.degrees(abs(rate)))), rate)
            for rate in super()._within(able.possible(azimuth_rad_s), able.possible(elevation_rad_s))
        )
        return azimuth, elevation

    def _soft(self, travel_deg: Travel) -> tuple[Pair, Pair]:
        low, high = super()._soft(travel_deg)
        self._limited = high[AZIMUTH] - low[AZIMUTH] < TURN_DEG
        if self._limited:
            return low, high
        return (-math.inf, low[ALTITUDE]), (math.inf, high[ALTITUDE])

    def _able(self, rate_max_rad_s: float, acceleration_max_rad_s2: float, latency_s: float) -> GimbalCapabilities:
        highest = math.degrees(rate_max_rad_s)
        self._ways = [Way(latency_s, acceleration_max_rad_s2) for _ in AXES]
        self._speeds_deg_s = in_both(self._ranges_deg_s[0], self._ranges_deg_s[1], highest) if self._turns else []
        self._turns = bool(self._speeds_deg_s)
        if not (self._turns or self._slews):
            raise DeviceError(
                f"{self._name}: its telescope can neither be sent to directions nor turned by rates up to "
                f"{highest:g} deg/s; choose a telescope that can, or raise rate_max_deg_s."
            )
        able = super()._able(rate_max_rad_s, acceleration_max_rad_s2, latency_s)
        able = replace(
            able,
            takes=frozenset(("rate", "position") if self._slews else ("rate",)),
            travel_rad=able.travel_rad if self._limited else None,
        )
        if not self._turns:
            return replace(able, rates_rad_s=(rate_max_rad_s,))
        rates = [(math.radians(low), math.radians(high)) for low, high in self._speeds_deg_s]
        steps = all(low == high for low, high in rates)
        return replace(
            able,
            rate_max_rad_s=rates[-1][1],
            rates_rad_s=tuple(high for _, high in rates) if steps else (),
            rate_gaps_rad_s=() if steps else tuple(gaps_of(rates)),
            rate_resolution_rad_s=0.0,
        )

    def _alignment(self) -> int | None:
        """Of AlignmentMode; None where it does not say."""
        try:
            return round(self._server.number("alignmentmode", "its alignment mode", 0, 2))
        except DeviceError as error:
            if error.code != NOT_IMPLEMENTED:
                raise
            return None

    def _axis_rates(self, axis: int) -> list[Pair]:
        told = self._server.get("axisrates", "the rates of its axes", Axis=axis)
        ranges = ranges_of(told)
        if ranges is None:
            raise self._server.nonsense(told, "the rates of its axes")
        return ranges

    def _renewed(self) -> StreamWire:
        """A new connection for the one that ended."""
        resource = self._wire.resource
        self._wire.close()
        self._wire = open_stream(resource, self._clock, self._name)
        return self._wire
