"""Every driver that a rig file can name: what it opens, and what stops its device when nobody commands it.

The table is read by the rig file's checks, by `open_device`, by the guardian and by `boresight rig check`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hal.clock import Clock
from hal.errors import ResourceError

if TYPE_CHECKING:
    from hal.rig import Rig, Terminal
    from hal.wires.stream import StreamWire

SERIAL = ("serial:///dev/...", "socket://HOST:PORT", "rfc2217://HOST:PORT", "tcp://HOST:PORT")
DATAGRAMS = ("udp://HOST:PORT",)
SOCKETS = ("tcp://HOST:PORT", "socket://HOST:PORT")
HTTP = ("http://HOST:PORT/api/v1/telescope/0", "tcp://HOST:PORT")
USB = ("usb://VID:PID/SERIAL", "usbip://HOST:PORT/BUSID")
VISA = (
    "visa://USB0::VID::PID::SERIAL::INSTR",
    "visa://TCPIP0::HOST::PORT::SOCKET",
    "visa://TCPIP0::HOST::hislip0::INSTR",
    "visa://TCPIP0::HOST::inst0::INSTR",
    "visa://ASRL/dev/...::INSTR",
)

#: What a laser may read back beyond output, current, measured power and interlock, which every driver reads.
READ_BACKS = ("key", "divergence")

NOTHING_MOVES = "nothing needs to stop it"
CUT_OFF = "only the motion cut-off stops it"
STAYS = "nothing: it stays as it is; the beam board's enable line takes the light from it, 250 ms"
STAYS_OR_FALLS = f"{STAYS}; without power of its own its spring closes it"
WATCHDOG = "its own watchdog, 250 ms: mirror at rest, enable line down, latched until reset"
ENABLE_LINE = "the beam board's enable line opens its interlock, 250 ms; left alone it would keep its output"


@dataclass(frozen=True, slots=True)
class StoppedBy:
    """What brings a device to a safe state when its owner is gone, by what went."""

    process: str  # the process that owns the device was killed
    cable: str
    host: str  # power or kernel of the computer


STAYS_THERE = "nothing: it is there in milliseconds, inside its soft limits, and stays there"
_THERE = "nothing: it goes to where it was sent, inside its soft limits, and stops there"
ARRIVES = StoppedBy(_THERE, _THERE, _THERE)
STOPPED_ON_ITS_WAY = StoppedBy("the guardian process takes its port and sends stop, 0.5 s", _THERE, _THERE)
KEEPS_ITS_RATE = StoppedBy(
    process="the guardian process takes its port and sends stop, 0.5 s",
    cable=f"the guardian process, once the port is back: until then it keeps its last rate; {CUT_OFF}",
    host=f"nothing: it keeps its last rate; {CUT_OFF}",
)
GOES_ON = StoppedBy(
    process="the guardian process takes its port and sends stop, 0.5 s",
    cable=f"the guardian process, once the port is back; it stops where it was sent; {CUT_OFF} before",
    host=f"nothing: it goes to where it was sent and stops there; {CUT_OFF} before",
)
_THERE_OR_ON = f"nothing: it goes to where it was sent and stops there, or follows the stars; {CUT_OFF}"
GOES_ON_OR_FOLLOWS = StoppedBy(GOES_ON.process, _THERE_OR_ON, _THERE_OR_ON)


@dataclass(frozen=True, slots=True)
class StopAxes:
    """The function of hal.devices.`module` that brings the axes to rest, knowing nothing of the line."""

    module: str
    function: str = "stop_axes"

    def load(self) -> Callable[[StreamWire, Clock], None]:
        """Import it: a guardian does so before it is needed."""
        found: Callable[[StreamWire, Clock], None] = getattr(import_module(f"hal.devices.{self.module}"), self.function)
        return found

    def __call__(self, wire: StreamWire, clock: Clock) -> None:
        """Stop them. Raises HalError unless the device has acknowledged it."""
        self.load()(wire, clock)


@dataclass(frozen=True, slots=True)
class Driver:
    """One row of the table."""

    name: str
    device: str  # section of the rig file
    resources: tuple[str, ...]  # kinds of resource that it opens, as they are written
    open: Callable[..., Any]  # with the Rig, the Clock, and what open_device was told more
    stopped_by: StoppedBy
    stop_axes: StopAxes | None = None  # for the guardian: devices that keep moving
    reads_back: tuple[str, ...] = ()  # of READ_BACKS
    also: Mapping[str, Callable[[Any, Clock], Any]] = field(default_factory=dict)  # other sections that may name it

    def serves(self, device: str) -> bool:
        """Whether that section of a rig file may name it."""
        return device == self.device or device in self.also

    def opening(self, device: str) -> Callable[[Any, Clock], Any]:
        """What opens it for a section that may name it."""
        return self.also.get(device, self.open)

    @property
    def schemes(self) -> tuple[str, ...]:
        """The part before `://` of every resource that it opens."""
        return tuple(resource.partition("://")[0] for resource in self.resources)

    @property
    def networked(self) -> bool:
        """Only a network reaches it."""
        return set(self.schemes) <= {"http", "tcp", "socket"}


def _gimbal(rig: Rig, clock: Clock, module: str, name: str, **more: Any) -> Any:
    """The gimbal of a rig, opened by the class `name` of hal.devices.`module`, which is told `more`."""
    gimbal = rig.gimbal
    opened = getattr(import_module(f"hal.devices.{module}"), name)(
        gimbal.resource,
        gimbal.baud,
        clock,
        rate_max_rad_s=gimbal.rate_max_rad_s,
        acceleration_max_rad_s2=gimbal.acceleration_max_rad_s2,
        command_latency_s=gimbal.command_latency_s,
        **more,
    )
    opened.capabilities = replace(
        opened.capabilities, approach_rad=gimbal.approach_rad, dead_band_rad=gimbal.dead_band_rad
    )
    return opened


def _mount(module: str, name: str) -> Callable[..., Any]:
    """How a mount that turns without end in azimuth is opened, with the rig's soft limits.

    It has no state from which it would wake.
    """

    def opened(rig: Rig, clock: Clock, wakes: bool = True) -> Any:
        ends = {"elevation_rad": rig.gimbal.elevation_rad, "azimuth_rad": rig.gimbal.azimuth_rad}
        return _gimbal(rig, clock, module, name, **ends)

    return opened


def _rotator(module: str, name: str, *keys: str) -> Callable[..., Any]:
    """How a rotator is opened, with the soft limits of the rig and `keys` of its section."""
    told = ("travel_deg", *keys)

    def opened(rig: Rig, clock: Clock, **more: Any) -> Any:
        return _gimbal(rig, clock, module, name, **{key: getattr(rig.gimbal, key) for key in told}, **more)

    return opened


def _indi(rig: Rig, clock: Clock, **more: Any) -> Any:
    """As a rotator, which is told where the rig stands."""
    place = rig.station
    site = (place.latitude_deg, place.longitude_deg, place.height_m)
    return _gimbal(rig, clock, "indi", "Indi", travel_deg=rig.gimbal.travel_deg, site=site, **more)


def _u3v(rig: Terminal, clock: Clock) -> Any:
    return import_module("hal.devices.u3v").U3vCamera(rig.camera.resource, clock, "camera")


def _star_camera(rig: Terminal, clock: Clock) -> Any:
    if rig.star_camera is None:
        raise ResourceError("star_camera: this rig has none; write [star_camera] in the rig file.")
    return import_module("hal.devices.u3v").U3vCamera(rig.star_camera.resource, clock, "star_camera")


def _beamboard(rig: Terminal, clock: Clock) -> Any:
    return import_module("hal.devices.beamboard").BeamBoard(rig.beam_board.resource, rig.beam_board.baud, clock)


def _itc4000(rig: Terminal, clock: Clock) -> Any:
    return import_module("hal.devices.itc4000").Itc4000.open(rig.laser.resource, clock)


def _sc10(rig: Terminal, clock: Clock) -> Any:
    if rig.shutter is None:
        raise ResourceError("shutter: this rig has none; write [shutter] in the rig file.")
    return import_module("hal.devices.sc10").Sc10(rig.shutter.resource, rig.shutter.baud, clock)


def _stage(module: str, name: str) -> Callable[[Rig, Clock], Any]:
    """How a linear stage of a rig is opened, with the soft limits of the rig, by a class of hal.devices.`module`."""

    def opened(rig: Rig, clock: Clock) -> Any:
        if rig.stage is None:
            raise ResourceError("stage: this rig has none; write [stage] in the rig file.")
        stage = rig.stage
        return getattr(import_module(f"hal.devices.{module}"), name)(
            stage.resource,
            stage.baud,
            clock,
            travel_mm=(stage.travel_min_mm, stage.travel_max_mm),
            resolution_mm=stage.resolution_mm,
            speed_max_mm_s=stage.speed_max_mm_s,
            axis=stage.axis,
            approach_mm=stage.approach_mm,
        )

    return opened


def _mirror(rig: Rig, clock: Clock) -> Any:
    if rig.mirror is None:
        raise ResourceError("mirror: this rig has none; write [mirror] in the rig file.")
    mirror = rig.mirror
    return import_module("hal.devices.gcs2_mirror").Gcs2Mirror(
        mirror.resource,
        mirror.baud,
        clock,
        axes=(mirror.x_axis, mirror.y_axis),
        reach_rad=mirror.reach_urad * 1e-6,
        resolution_rad=mirror.resolution_urad * 1e-6,
        settling_s=mirror.settling_s,
    )


def _pm100d(rig: Terminal, clock: Clock) -> Any:
    return import_module("hal.devices.pm100d").Pm100d.open(rig.power_meter.resource, clock)


_STANDARD = "easycomm_standard"
DRIVERS: dict[str, Driver] = {
    driver.name: driver
    for driver in (
        Driver(
            "nexstar",
            "gimbal",
            SERIAL,
            _mount("nexstar", "NexStar"),
            KEEPS_ITS_RATE,
            StopAxes("nexstar"),
        ),
        Driver(
            "easycomm",
            "gimbal",
            SERIAL,
            _mount("easycomm", "EasyComm"),
            KEEPS_ITS_RATE,
            StopAxes("easycomm"),
        ),
        Driver("easycomm2", "gimbal", SERIAL, _rotator(_STANDARD, "EasyComm2"), GOES_ON, StopAxes(_STANDARD)),
        Driver("easycomm3", "gimbal", SERIAL, _rotator(_STANDARD, "EasyComm3"), KEEPS_ITS_RATE, StopAxes(_STANDARD)),
        Driver("gs232a", "gimbal", SERIAL, _rotator("gs232", "Gs232a"), GOES_ON, StopAxes("gs232")),
        Driver("gs232b", "gimbal", SERIAL, _rotator("gs232", "Gs232b"), GOES_ON, StopAxes("gs232")),
        Driver("rot1prog", "gimbal", SERIAL, _rotator("spid", "Rot1Prog"), GOES_ON, StopAxes("spid", "stop_azimuth")),
        Driver("rot2prog", "gimbal", SERIAL, _rotator("spid", "Rot2Prog"), GOES_ON, StopAxes("spid")),
        Driver("md01", "gimbal", SERIAL, _rotator("spid", "Md01"), GOES_ON, StopAxes("spid")),
        Driver(
            "rotctld",
            "gimbal",
            SOCKETS,
            _rotator("rotctld", "Rotctld", "position_step_deg"),
            GOES_ON,
            StopAxes("rotctld"),
        ),
        Driver("indi", "gimbal", SOCKETS, _indi, GOES_ON_OR_FOLLOWS, StopAxes("indi")),
        Driver(
            "skywatcher",
            "gimbal",
            (*SERIAL, *DATAGRAMS),
            _rotator("skywatcher", "SkyWatcher", "start_deg"),
            KEEPS_ITS_RATE,
            StopAxes("skywatcher"),
        ),
        Driver(
            "alpaca", "gimbal", HTTP, _rotator("alpaca", "Alpaca", "reversed_axes"), KEEPS_ITS_RATE, StopAxes("alpaca")
        ),
        Driver("lx200", "gimbal", SERIAL, _rotator("lx200", "Lx200"), GOES_ON, StopAxes("lx200")),
        Driver("ioptron", "gimbal", SERIAL, _rotator("ioptron", "IOptron"), GOES_ON, StopAxes("ioptron")),
        Driver("flir_ptu", "gimbal", SERIAL, _rotator("flir_ptu", "FlirPtu"), KEEPS_ITS_RATE, StopAxes("flir_ptu")),
        Driver("pelco_d", "gimbal", SERIAL, _rotator("pelco_d", "PelcoD"), GOES_ON, StopAxes("pelco_d")),
        Driver(
            "u3v",
            "camera",
            USB,
            _u3v,
            StoppedBy(NOTHING_MOVES, NOTHING_MOVES, NOTHING_MOVES),
            also={"star_camera": _star_camera},
        ),
        Driver("beamboard", "beam_board", SERIAL, _beamboard, StoppedBy(WATCHDOG, WATCHDOG, WATCHDOG)),
        Driver(
            "itc4000",
            "laser",
            VISA,
            _itc4000,
            StoppedBy(ENABLE_LINE, ENABLE_LINE, ENABLE_LINE),
            reads_back=("key",),
        ),
        Driver("pm100d", "power_meter", VISA, _pm100d, StoppedBy(NOTHING_MOVES, NOTHING_MOVES, NOTHING_MOVES)),
        Driver("sc10", "shutter", SERIAL, _sc10, StoppedBy(STAYS, STAYS, STAYS_OR_FALLS)),
        Driver("zaber", "stage", SERIAL, _stage("zaber", "Zaber"), STOPPED_ON_ITS_WAY, StopAxes("zaber")),
        Driver("gcs2", "stage", SERIAL, _stage("gcs2", "Gcs2"), STOPPED_ON_ITS_WAY, StopAxes("gcs2")),
        Driver("apt", "stage", SERIAL, _stage("apt", "Apt"), STOPPED_ON_ITS_WAY, StopAxes("apt")),
        Driver("xps", "stage", SOCKETS, _stage("xps", "Xps"), ARRIVES),
        Driver("gcs2_mirror", "mirror", SERIAL, _mirror, StoppedBy(STAYS_THERE, STAYS_THERE, STAYS_THERE)),
    )
}


def drivers_of(device: str) -> list[str]:
    """Names of the drivers that a section of the rig file may name."""
    return [driver.name for driver in DRIVERS.values() if driver.serves(device)]
