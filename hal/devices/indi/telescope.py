"""The telescope of an INDI server as a gimbal.

It is sent to directions with ON_COORD_SET = SLEW and stopped by TELESCOPE_ABORT_MOTION. A telescope with a
HORIZONTAL_COORD that can be set is used in azimuth and elevation; any other in EQUATORIAL_EOD_COORD, turned with the
station's place and our UTC, so the server's clock must be right, too. Its soft limits say where it may be sent; the way
there is its own. TELESCOPE_MOTION has speeds without a unit, and axes that may be polar: no rate is made of it.

A right ascension is a place of the sky, and is sent as it will be after the way there: each second that this is wrong
costs 15 seconds of arc. Drivers of libindi follow the stars then, also after SLEW: each reading ends that.

Nothing stops it when this client falls silent: INDI has no heartbeat. It goes to where it was sent and stands there, or
follows the stars.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from hal.clock import Clock
from hal.devices.indi.client import CONNECTION, INFO, Client, Vector, command
from hal.devices.indi.equatorial import (
    SIDEREAL_HOURS_S,
    Direction,
    apart_deg,
    equatorial_of,
    horizontal_of,
    sidereal_deg,
)
from hal.devices.rotator import Rotator, Travel
from hal.errors import DeviceError, ProtocolError
from hal.traits import Drives, DriveState, GimbalCapabilities, Identity, Pair
from hal.wires.stream import StreamWire

HORIZONTAL, EQUATORIAL = "HORIZONTAL_COORD", "EQUATORIAL_EOD_COORD"
SITE, ABORT, ON_SET = "GEOGRAPHIC_COORD", "TELESCOPE_ABORT_MOTION", "ON_COORD_SET"
TRACK, PARK, POLLING = "TELESCOPE_TRACK_STATE", "TELESCOPE_PARK", "POLLING_PERIOD"
NAMES = frozenset({HORIZONTAL, EQUATORIAL, SITE, ABORT, ON_SET, TRACK, PARK, POLLING})
AXES = {HORIZONTAL: ("AZ", "ALT"), EQUATORIAL: ("RA", "DEC")}
RANGES = {"AZ": (0.0, 360.0), "ALT": (-90.0, 90.0), "RA": (0.0, 24.0), "DEC": (-90.0, 90.0)}
RANGES |= {"LAT": (-90.0, 90.0), "LONG": (-180.0, 360.0)}
SPLIT = str.maketrans(":;", "  ")  # sexagesimal numbers are allowed
AZIMUTH_DEG = -360.0, 360.0
SEAM_DEG = 1.0  # so near to where it was sent it is shown beside it, also across the end of its travel
ZENITH_DEG = 89.9  # at 90, azimuth has no right ascension
POLLING_MS = 50.0  # how often the server's driver asks its telescope: an angle is that old at most, and a read
CONNECT_TIMEOUT_S = 10.0  # the server's driver opens a port of its own, and may search it
SITE_DEG = 1e-4  # to which a place is the same: a third of a second of arc
Site = tuple[float, float, float]  # latitude and longitude in degrees, height in m


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring every telescope of the server to rest. Raises HalError unless each has acknowledged it."""
    client = Client(wire, clock, NAMES)
    found = []
    for device in client.telescopes():
        client.shout(_stop(device))
        found.append(device)
    for device in found:
        _connect(client, device)
        client.order(device, "Switch", ABORT, {"ABORT": "On"})


class Indi(Rotator):
    """The only telescope of a server. Opening it connects and unparks it where nobody has, and brings it to rest.

    `site` is set in the server where it has another; None: the server's holds. Raises DeviceError for a server with two
    telescopes, and for a telescope that cannot be connected, sent or stopped.
    """

    model = "INDI telescope"
    drives_told = Drives(frozenset({"on", "parked"}), frozenset({"on"}))
    step_deg = 0.01  # to which such mounts come, and come again
    go_bytes = 0  # nothing paces it
    reach_deg = (AZIMUTH_DEG, (0.0, 90.0))
    leg_deg = 30.0  # turned by hand it is sent no further at once: round the other way, or to where the sky has gone

    def __init__(self, *where: Any, site: Site | None = None, **limits: Any) -> None:
        self._site = site
        super().__init__(*where, **limits)

    def _begin(self) -> None:
        self._client = client = Client(self._wire, self._clock, NAMES)
        self._device, *others = client.telescopes()
        if others:
            raise DeviceError(
                f"{self._name}: {self._wire.where} has the telescopes {', '.join([self._device, *others])}; start an "
                "indiserver for each."
            )
        _connect(client, self._device)
        if client.known(self._device, ABORT) is None:
            raise DeviceError(f"{self._name}: {self._device} has no {ABORT}: what cannot be stopped is not moved.")
        self._coordinates = next((name for name in AXES if self._settable(name)), "")
        if not self._coordinates:
            raise DeviceError(f"{self._name}: {self._device} has neither {HORIZONTAL} nor {EQUATORIAL} to set.")
        if self._coordinates == EQUATORIAL:
            self._stand()
        self._order("Switch", ON_SET, {"SLEW": "On"})
        if (park := client.known(self._device, PARK)) is None:
            self.drives_told = Drives()
        elif self._wakes and park.values.get("PARK") == "On":
            self._order("Switch", PARK, {"UNPARK": "On"})
        if client.known(self._device, POLLING):
            self._order("Number", POLLING, {"PERIOD_MS": f"{POLLING_MS:g}"})

    def _stand(self) -> None:
        """Have one place with the server: right ascension depends on it."""
        if self._client.known(self._device, SITE) is None:
            raise DeviceError(f"{self._name}: {self._device} has no {SITE}: its {EQUATORIAL} cannot be turned.")
        told = self._client.ask(self._device, SITE)
        here = self._number(told, SITE, "LAT"), self._number(told, SITE, "LONG")
        if self._site is not None:
            latitude_deg, longitude_deg, height_m = self._site
            away_deg = abs(here[0] - latitude_deg), abs(math.remainder(here[1] - longitude_deg, 360.0))
            if max(away_deg) > SITE_DEG:
                place = {"LAT": latitude_deg, "LONG": longitude_deg % 360.0, "ELEV": height_m}
                self._order("Number", SITE, {name: f"{value:.6f}" for name, value in place.items()})
            here = latitude_deg, longitude_deg
        self._latitude_deg, self._longitude_deg = here
        self.reach_deg = AZIMUTH_DEG, (0.0, ZENITH_DEG)

    def _identify(self) -> Identity:
        info = self._client.ask(self._device, INFO).values
        driver, version = (info.get(f"DRIVER_{word}", "") for word in ("EXEC", "VERSION"))
        return {"model": self._device, "driver": driver, "firmware": version}

    def _read(self) -> tuple[float, float, int, int]:
        name = self._coordinates
        told = self._client.ask(self._device, name, "its angles")
        if (tracks := self._client.known(self._device, TRACK)) and tracks.values.get("TRACK_ON") == "On":
            self._client.shout(command(self._device, "Switch", TRACK, {"TRACK_OFF": "On"}))
        here = self._number(told, name, AXES[name][0]), self._number(told, name, AXES[name][1])
        connection = self._client.known(self._device, CONNECTION)
        if connection is None or connection.values.get("CONNECT") != "On":
            raise DeviceError(f"{self._name}: {self._device} was disconnected at the server; its angles are of before.")
        if told.state == "Alert":
            raise DeviceError(f"{self._name}: {self._device} has lost its angles, or did not go; see the server's log.")
        if name == EQUATORIAL:
            here = horizontal_of(here, self._latitude_deg, self._lst_deg())
        return self._shown_deg(here[0]), here[1], self._client.asked_ns, 0

    @property
    def _turns_freely(self) -> bool:
        return self._high_deg[0] - self._low_deg[0] >= 360.0

    def _soft(self, travel_deg: Travel) -> tuple[Pair, Pair]:
        low_deg, high_deg = super()._soft(travel_deg)
        if high_deg[0] - low_deg[0] > 360.0:  # it tells no turns: one is left, from north to north
            low_deg, high_deg = (0.0, low_deg[1]), (360.0, high_deg[1])
        self._sent_deg = (low_deg[0] + high_deg[0]) / 2
        return low_deg, high_deg

    def _able(self, rate_max_rad_s: float, acceleration_max_rad_s2: float, latency_s: float) -> GimbalCapabilities:
        able = super()._able(rate_max_rad_s, acceleration_max_rad_s2, latency_s)
        # A mount of polar axes keeps neither azimuth nor elevation on its way: by hand it can be turned, at no rate.
        return replace(able, takes=frozenset({"position"}), rates_rad_s=()) if self._coordinates == EQUATORIAL else able

    def _shown_deg(self, azimuth_deg: float) -> float:
        """By the turn of its travel, or of where it was sent at the very end of it."""
        off_deg = math.remainder(azimuth_deg - self._sent_deg, 360.0)
        return self._sent_deg + off_deg if abs(off_deg) < SEAM_DEG else self._inside_deg(azimuth_deg)

    def _inside_deg(self, azimuth_deg: float) -> float:
        """By the turn that is nearest to the middle of its travel."""
        middle_deg = (self._low_deg[0] + self._high_deg[0]) / 2
        return middle_deg + math.remainder(azimuth_deg - middle_deg, 360.0)

    def _send_to(self, azimuth_deg: float, elevation_deg: float) -> None:
        if self._turns_freely and not self._low_deg[0] <= azimuth_deg <= self._high_deg[0]:
            azimuth_deg = self._inside_deg(azimuth_deg)
        super()._send_to(azimuth_deg, elevation_deg)
        self._sent_deg = min(self._high_deg[0], max(self._low_deg[0], azimuth_deg))

    def _read_ns(self, asked_ns: int, line_bytes: int) -> int:
        return asked_ns

    def _go(self, azimuth_deg: float, elevation_deg: float) -> None:
        to: Direction = azimuth_deg % 360.0, elevation_deg
        if self._coordinates == EQUATORIAL:
            to = self._when_it_is_there(equatorial_of(to, self._latitude_deg, self._lst_deg()))
        words = {axis: f"{value:.8f}" for axis, value in zip(AXES[self._coordinates], to, strict=True)}
        told = self._order("Number", self._coordinates, words)
        if told.state == "Idle":  # as libindi refuses, often without a word
            if self.drives_told.tells:
                self._watch.explain(self.drives)
            raise self._client.refused(self._device, self._coordinates)

    def _when_it_is_there(self, to: Direction) -> Direction:
        """The right ascension that a direction of now will have after the way there."""
        told = self._client.ask(self._device, EQUATORIAL, "its angles")
        here = self._number(told, EQUATORIAL, "RA"), self._number(told, EQUATORIAL, "DEC")
        able = self.capabilities
        way_s = able.command_latency_s + math.radians(apart_deg(here, to)) / able.rate_max_rad_s
        return (to[0] + way_s * SIDEREAL_HOURS_S) % 24.0, to[1]

    def _drives(self) -> tuple[DriveState, DriveState]:
        state: DriveState = "parked" if self._parked else "on"
        return state, state

    @property
    def _parked(self) -> bool:
        return self._client.ask(self._device, PARK).values.get("PARK") == "On"

    def _power(self, on: bool) -> None:
        if self._parked:
            self._order("Switch", PARK, {"UNPARK": "On"})

    def _halt(self) -> None:
        self._client.shout(_stop(self._device))
        if self._client.ask(self._device, ABORT).state == "Alert":
            raise self._client.refused(self._device, ABORT)

    def _order(self, kind: str, name: str, values: dict[str, str]) -> Vector:
        return self._client.order(self._device, kind, name, values)

    def _settable(self, name: str) -> bool:
        vector = self._client.known(self._device, name)
        return vector is not None and vector.settable and vector.values.keys() >= set(AXES[name])

    def _number(self, vector: Vector, name: str, element: str) -> float:
        """An element as a number of its range. Raises ProtocolError."""
        text = vector.values.get(element, "")
        low, high = RANGES[element]
        try:
            value = _number(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise ProtocolError(
                f"{self._name}: {self._device} says {text[:64]!r} for {name}.{element}, which is no angle; see its log."
            )
        return value

    def _lst_deg(self) -> float:
        return sidereal_deg(self._clock.utc_ns(), self._longitude_deg)


def _number(text: str) -> float:
    """Of a decimal or sexagesimal text, the sign of which is that of the whole. Raises ValueError."""
    whole, *parts = (float(part) for part in text.translate(SPLIT).split())
    if len(parts) > 2 or not all(0 <= part < 60 for part in parts):
        raise ValueError(text)
    return math.copysign(abs(whole) + sum(part / 60**n for n, part in enumerate(parts, 1)), whole)


def _stop(device: str) -> bytes:
    """Whatever it does now, and the stars that it may follow."""
    tracks_no_more = command(device, "Switch", TRACK, {"TRACK_OFF": "On"})
    return command(device, "Switch", ABORT, {"ABORT": "On"}) + tracks_no_more


def _connect(client: Client, device: str) -> None:
    """Have the server's driver open its telescope. Raises DeviceError when it cannot."""
    if client.ask(device, CONNECTION).values.get("CONNECT") == "On":
        return
    client.order(device, "Switch", CONNECTION, {"CONNECT": "On"}, CONNECT_TIMEOUT_S)
    if client.ask(device, CONNECTION).values.get("CONNECT") != "On":  # what it has defined by then is known, too
        raise client.refused(device, CONNECTION)
