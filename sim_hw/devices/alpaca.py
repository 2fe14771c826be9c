"""An ASCOM Alpaca server with one alt-azimuth telescope, ITelescopeV3 (or V4, as far as its state goes).

Sources: ASCOM Initiative, "Alpaca API Reference" (paths, transactions, statuses), and its description of ITelescopeV3
(members, which error when). It refuses what it may: a slew while it is moved by rates or tracks, rates that it has not
named, anything while it is parked. It is not aligned: right ascension and declination are the angles of its axes, and
its tracking is a flag. The library alpyca drives it in tests/strangers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from sim_hw.devices.axis_drive import AxisDrive
from sim_hw.devices.encoders import AXES, AZIMUTH, ELEVATION, Encoders, Mount
from sim_hw.devices.http_device import HttpDevice, Request, Response
from sim_hw.devices.refused import Refused
from sim_hw.timeline import Timeline

NOT_IMPLEMENTED, INVALID_VALUE, NOT_CONNECTED, PARKED, INVALID_OPERATION = 0x400, 0x401, 0x407, 0x408, 0x40B
ERRORS: Final = {
    NOT_IMPLEMENTED: "This telescope has no such member",
    INVALID_VALUE: "The value is outside of its range",
    NOT_CONNECTED: "The telescope is not connected",
    PARKED: "The telescope is parked",
    INVALID_OPERATION: "The telescope is busy with something else",
}
ABILITIES: Final = {
    "canpark": True, "cansetpark": True, "canunpark": True, "cansettracking": True, "canslewaltazasync": True,
} | dict.fromkeys(
    ("canfindhome", "canpulseguide", "cansetdeclinationrate", "cansetguiderates", "cansetpierside",
     "cansetrightascensionrate", "canslew", "canslewaltaz", "canslewasync", "cansync", "cansyncaltaz"), False,
)  # fmt: skip
SAID: Final = {
    "name": "Boresight's emulated telescope",
    "description": "An alt-azimuth mount",
    "driverinfo": "Boresight, sim_hw",
    "driverversion": "1.0",
    "supportedactions": [],
}
WITH_STATE = 4  # InterfaceVersion
LARGEST_NUMBER = 0xFFFF_FFFF
DEGREES_TURN = 360.0
_MEMBER = re.compile(r"/api/v1/telescope/(\d+)/([a-z]+)")
_NUMBER = re.compile(r"[+-]?\d{1,12}(?:\.\d{0,40})?(?:[eE][+-]?\d{1,3})?")
Told = dict[str, str]


class Unanswerable(Exception):  # noqa: N818 (it is no error of ours)
    """A request that the API does not know: HTTP 400."""


class Telescope:
    """The mount and what its driver knows of it, whoever is connected."""

    def __init__(
        self, timeline: Timeline, mount: Mount, *, rate_max_rad_s: float, acceleration_max_rad_s2: float,
        rates_deg_s: Sequence[tuple[float, float]] = (), alignment: int = 0, signs: tuple[int, int] = (1, 1),
        interface: int = 3,
    ) -> None:  # fmt: skip
        self._encoders = Encoders(mount)
        self.conditions = self._encoders.conditions
        self.drives = [
            AxisDrive(
                timeline, self._encoders, axis, rate_max_rad_s=rate_max_rad_s,
                acceleration_max_rad_s2=acceleration_max_rad_s2,
            )
            for axis in AXES
        ]  # fmt: skip
        self.rates_deg_s = tuple(rates_deg_s) or ((0.0, math.degrees(rate_max_rad_s)),)
        self.alignment, self.interface, self._signs = alignment, interface, signs
        self.connected = self.tracking = self.parked = False
        self.park_deg = (0.0, 0.0)
        self._going = False  # to where it was sent

    @property
    def angles_deg(self) -> tuple[float, float]:
        """Azimuth from 0 to 360, and altitude."""
        azimuth_rad, altitude_rad = self._encoders.encoder_rad()
        altitude_deg = math.degrees(math.remainder(altitude_rad, math.tau))
        return math.degrees(azimuth_rad) % DEGREES_TURN, max(-90.0, min(90.0, altitude_deg))

    @property
    def slewing(self) -> bool:
        """It moves, however it was told to."""
        return any(drive.moving for drive in self.drives)

    @property
    def _turning(self) -> bool:
        return any(drive.turning for drive in self.drives)

    def free(self) -> None:
        """Raises Refused while it is parked."""
        if self.parked:
            raise Refused(PARKED)

    def slew(self, azimuth_deg: float, altitude_deg: float) -> None:
        """Go there, azimuth the shorter way round. Raises Refused."""
        self.free()
        if not (0.0 <= azimuth_deg <= DEGREES_TURN and -90.0 <= altitude_deg <= 90.0):
            raise Refused(INVALID_VALUE)
        if self.tracking or self._turning:
            raise Refused(INVALID_OPERATION)
        self._go(azimuth_deg, altitude_deg)

    def move(self, axis: int, rate_deg_s: float) -> None:
        """Turn an axis until told otherwise. Raises Refused."""
        self.free()
        if axis not in AXES:
            raise Refused(NOT_IMPLEMENTED if axis == 2 else INVALID_VALUE)
        drive = self.drives[axis]
        if rate_deg_s == 0.0:
            if drive.turning:
                drive.brake()
            return
        if not any(low <= abs(rate_deg_s) <= high for low, high in self.rates_deg_s):
            raise Refused(INVALID_VALUE)
        if self._going:
            raise Refused(INVALID_OPERATION)
        drive.turn(self._signs[axis] * math.radians(rate_deg_s))

    def abort(self) -> None:
        """Stand still. Raises Refused."""
        self.free()
        self._going = False
        for drive in self.drives:
            drive.brake()

    def park(self) -> None:
        """Go to where it is parked; it is when it stands there."""
        if not self.parked:
            self.tracking = False
            self._go(*self.park_deg, parks=True)

    def _go(self, azimuth_deg: float, altitude_deg: float, parks: bool = False) -> None:
        def arrived() -> None:
            if not self.slewing:
                self._going, self.parked = False, parks

        self._going = True
        here_rad = self.drives[AZIMUTH].angle_rad
        way_rad = math.remainder(math.radians(azimuth_deg) - here_rad, math.tau)
        self.drives[AZIMUTH].go(here_rad + way_rad, arrived)
        self.drives[ELEVATION].go(math.radians(altitude_deg), arrived)


class Alpaca(HttpDevice):
    """One connection to the server; a SerialDevice. `another` is a further one."""

    def __init__(
        self, timeline: Timeline, mount: Mount | None = None, *, telescope: Telescope | None = None, **settings: Any
    ) -> None:
        super().__init__(timeline)
        if telescope is None:
            if mount is None:
                raise ValueError("a telescope has a mount")
            telescope = Telescope(timeline, mount, **settings)
        self.telescope = telescope
        self.conditions = telescope.conditions
        self._transactions = 0
        self._reads: dict[str, Callable[[Told], object]] = {
            "alignmentmode": lambda told: telescope.alignment,
            "altitude": lambda told: telescope.angles_deg[1],
            "azimuth": lambda told: telescope.angles_deg[0],
            "declination": lambda told: telescope.angles_deg[1],
            "rightascension": lambda told: telescope.angles_deg[0] / 15.0,
            "athome": lambda told: False,
            "atpark": lambda told: telescope.parked,
            "slewing": lambda told: telescope.slewing,
            "tracking": lambda told: telescope.tracking,
            "axisrates": self._axis_rates,
            "devicestate": self._state,
            "canmoveaxis": lambda told: self._axis(told, "axis") in AXES,
        }
        self._does: dict[str, Callable[[Told], None]] = {
            "abortslew": lambda told: telescope.abort(),
            "moveaxis": lambda told: telescope.move(self._axis(told, "Axis"), _number(told, "Rate")),
            "slewtoaltazasync": lambda told: telescope.slew(_number(told, "Azimuth"), _number(told, "Altitude")),
            "park": lambda told: telescope.park(),
            "unpark": lambda told: setattr(telescope, "parked", False),
            "setpark": lambda told: setattr(telescope, "park_deg", telescope.angles_deg),
            "tracking": self._track,
        }

    def another(self) -> Alpaca:
        """A further connection to the same server."""
        return Alpaca(self._timeline, telescope=self.telescope)

    def respond(self, request: Request) -> Response:
        """The answer to a request; names in a query may have any case, those in a form may not."""
        told = {key.lower(): value for key, value in request.query.items()}
        told = request.form if request.method == "PUT" else told
        number = told.get("ClientTransactionID" if request.method == "PUT" else "clienttransactionid", "")
        try:
            value: object = self._answer(request, told)
            error = 0
        except Unanswerable as wrong:
            return Response(400, "text/plain", str(wrong).encode())
        except Refused as refused:
            value, error = None, refused.code
        self._transactions += 1
        told_back = int(number) if re.fullmatch(r"\d{1,10}", number) and int(number) <= LARGEST_NUMBER else 0
        answer = {
            **({} if value is None else {"Value": value}),
            "ClientTransactionID": told_back,
            "ServerTransactionID": self._transactions,
            "ErrorNumber": error,
            "ErrorMessage": ERRORS[error] if error else "",
        }
        return Response(200, "application/json", json.dumps(answer).encode())

    def _answer(self, request: Request, told: Told) -> object:
        if request.method not in ("GET", "PUT"):
            raise Unanswerable("there are GET and PUT")
        if request.path.startswith("/management/") and request.method == "GET":
            return _management(request.path)
        found = _MEMBER.fullmatch(request.path)
        if found is None or found[1] != "0":
            raise Unanswerable("there is /api/v1/telescope/0")
        member = found[2]
        if request.method == "GET":
            return self._read(member, told)
        self._do(member, told)
        return None

    def _read(self, member: str, told: Told) -> object:
        if member in SAID:
            return SAID[member]
        if member == "connected":
            return self.telescope.connected
        if member == "interfaceversion":
            return self.telescope.interface
        self._need_connection()
        if member in ABILITIES:
            return ABILITIES[member]
        if member not in self._reads:
            raise Refused(NOT_IMPLEMENTED)
        return self._reads[member](told)

    def _do(self, member: str, told: Told) -> None:
        if member == "connected":
            self.telescope.connected = _flag(told, "Connected")
            return
        self._need_connection()
        if member not in self._does:
            raise Refused(NOT_IMPLEMENTED)
        self._does[member](told)

    def _need_connection(self) -> None:
        if not self.telescope.connected:
            raise Refused(NOT_CONNECTED)

    def _track(self, told: Told) -> None:
        wanted = _flag(told, "Tracking")
        if wanted:
            self.telescope.free()
        self.telescope.tracking = wanted

    def _axis(self, told: Told, key: str) -> int:
        axis = _number(told, key)
        if axis not in (0, 1, 2):
            raise Refused(INVALID_VALUE)
        return int(axis)

    def _state(self, told: Told) -> object:
        """What ITelescopeV4 tells at once, as far as this one has it."""
        if self.telescope.interface < WITH_STATE:
            raise Refused(NOT_IMPLEMENTED)
        names = ("Altitude", "AtPark", "Azimuth", "Declination", "RightAscension", "Slewing", "Tracking")
        return [{"Name": name, "Value": self._reads[name.lower()](told)} for name in names]

    def _axis_rates(self, told: Told) -> object:
        if self._axis(told, "axis") not in AXES:
            return []
        return [{"Minimum": low, "Maximum": high} for low, high in self.telescope.rates_deg_s]


def _management(path: str) -> object:
    match path.removeprefix("/management/"):
        case "apiversions":
            return [1]
        case "v1/description":
            return {
                "ServerName": SAID["name"], "Manufacturer": "Boresight", "ManufacturerVersion": "1.0", "Location": "",
            }  # fmt: skip
        case "v1/configureddevices":
            return [
                {"DeviceName": SAID["name"], "DeviceType": "Telescope", "DeviceNumber": 0, "UniqueID": "boresight-0"}
            ]
        case _:
            raise Unanswerable("there are apiversions, v1/description and v1/configureddevices")


def _number(told: Told, key: str) -> float:
    if key not in told or not _NUMBER.fullmatch(told[key]):
        raise Unanswerable(f"{key} is missing or no number")
    return float(told[key])


def _flag(told: Told, key: str) -> bool:
    if told.get(key, "").lower() not in ("true", "false"):
        raise Unanswerable(f"{key} is missing or neither True nor False")
    return told[key].lower() == "true"
