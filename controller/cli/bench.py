"""Puts an emulated bench together: the one place of the controller that knows sim_hw, and imports it only when asked.

There is one world; its devices are reached over in-memory wires in lockstep, over ptys and sockets in real time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from controller.cli.fault import DOOR
from controller.cli.rig import emulated_devices
from controller.errors import BoresightError
from hal.clock import NS, Clock
from hal.rig import Rig, Terminal, load_rig

if TYPE_CHECKING:
    from controller.pointing.ephemeris.ephemeris import Ephemeris
    from controller.services.lockstep import Lockstep
    from sim_hw.scenarios import Scenario
    from sim_hw.scene.orbit import TabledTarget, Target
    from sim_hw.world import World


class BenchError(BoresightError):
    """The emulated bench cannot be built."""


AHEAD_S = 1500.0
WARM_UP_NS = NS // 20
TABLE_NS, BEFORE_NS, AFTER_NS = 5 * NS, 60 * NS, 26 * 3600 * NS  # of the positions that the world is told
RANGE_MAX_M = 1e9
CAMERAS = ("camera", "star_camera")
_numbers = count(1)  # benches of one process have names of their own


@dataclass
class Devices:
    """The emulators of a bench, by the names of the rig's sections; None where the rig has no such device."""

    gimbal: Any
    camera: Any = None
    beam_board: Any = None
    laser: Any = None
    power_meter: Any = None
    shutter: Any = None
    stage: Any = None
    mirror: Any = None
    star_camera: Any = None


@dataclass
class Bench:
    """A running world with its devices and where each is reached."""

    world: World
    devices: Devices
    rig: Rig
    addresses: dict[str, str]
    lockstep: Lockstep | None = None  # the clock, in lockstep
    lines: dict[str, Any] = field(default_factory=dict)  # in lockstep, to spoil or cut: the serial lines by device,
    usb: Any = None  # and the bus on which camera, laser and power_meter are plugged
    faults: Any = None  # the panel: `faults.start("camera", "intermittent")`, see docs/faults.md
    reactor: Any = None  # what drives the world in real time
    utc_offset_ns: int = 0  # there: UTC minus the machine's monotonic time; 0 where the world has real UTC
    _stack: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Unplug every device."""
        self._stack.close()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_bench(
    rig_path: Path,
    target: Ephemeris,
    utc0_ns: int,
    scenario: str | Path = "default",
    seed: int = 1,
    wires: Literal["memory", "pty"] = "memory",
    overrides: dict[str, dict[str, object]] | None = None,
    clock: Clock | None = None,
    run_dir: Path | None = None,
) -> Bench:
    """Build the world at UTC `utc0_ns` with `target` in its sky, and emulators of the rig's emulated devices.

    `overrides` replaces keys of the scenario, section by section. On `wires="pty"` the world follows
    `clock`, from the moment that `bench.reactor` runs; with a real `clock` its UTC is the world's, too, else the world
    begins at `utc0_ns`. `run_dir` gets stable names for the serial ports.
    Raises RigError, and BenchError for a wrong scenario or a missing firmware library.
    """
    wanted = emulated_devices(rig_path)
    checked = load_rig(rig_path, dict.fromkeys(wanted, ""))
    if wires == "memory":
        _only_emulated(checked)
    with _told():
        world = _world(checked, target, utc0_ns, _scenario(scenario, overrides), seed)
        devices = _devices(checked, world, seed)
    if wires == "memory":
        return _in_memory(rig_path, wanted, world, devices, utc0_ns)
    if clock is None:
        raise ValueError("a bench in real time needs a clock")
    return _in_real_time(rig_path, wanted, world, devices, clock, run_dir)


def _only_emulated(rig: Rig) -> None:
    real = [
        f'[{device}] resource = "{getattr(rig, device).resource}"'
        for device in rig.devices
        if device not in rig.emulated
    ]
    if real:
        raise BenchError(
            f"{rig.path}: {' and '.join(real)} is real, and simulated time drives emulated devices only; "
            'write "emulated" there, or run the station in real time with `boresight run`.'
        )


@contextmanager
def _told() -> Iterator[None]:
    """sim_hw's errors as the controller's: it cannot know ours."""
    from sim_hw.devices.beamboard_library import FirmwareLibraryError
    from sim_hw.scenarios import ScenarioError

    try:
        yield
    except (FirmwareLibraryError, ScenarioError) as error:
        raise BenchError(str(error)) from None


def check_scenario(scenario: str | Path) -> None:
    """Raises BenchError, naming file and key, for a scenario that cannot be used."""
    with _told():
        _scenario(scenario, None)


def default_scenario() -> str:
    """The text of the world that is emulated by default, for whoever writes another."""
    return (resources.files("sim_hw.scenarios") / "default.toml").read_text(encoding="utf-8")


def _scenario(scenario: str | Path, overrides: dict[str, dict[str, object]] | None) -> Scenario:
    from sim_hw.scenarios import load_scenario

    return load_scenario(scenario, overrides)


def _world(rig: Rig, target: Ephemeris, utc0_ns: int, scenario: Scenario, seed: int) -> World:
    from controller.geometry.stars import bright_stars
    from controller.pointing.mount_frame import MountFrame
    from sim_hw.scene.earth import Site
    from sim_hw.scene.mount import Standing
    from sim_hw.scene.sky import CatalogueStar
    from sim_hw.world import World

    station = rig.station
    site = Site(
        station.latitude_deg,
        station.longitude_deg,
        station.height_m,
        station.pressure_hpa,
        station.temperature_c,
        station.relative_humidity,
    )
    stars = [
        CatalogueStar(
            star.right_ascension_deg,
            star.declination_deg,
            star.motion_ra_mas_yr,
            star.motion_dec_mas_yr,
            star.magnitude,
        )
        for star in bright_stars()
    ]
    frame = MountFrame.of(rig)
    standing = Standing(frame.level, frame.axis_azimuth_rad, frame.axis_elevation_rad)
    return World(scenario, seed, utc0_ns, site, in_the_sky(target, utc0_ns), stars, standing=standing)


def in_the_sky(target: Ephemeris, utc0_ns: int) -> Target | TabledTarget:
    """What the world is told of a target: two lines, or where the file has it; light and air it computes by itself."""
    import numpy as np

    from controller.geometry.solar_system import EARTH
    from controller.pointing.elements import ElementSet
    from controller.pointing.ephemeris.ephemeris import Frame
    from sim_hw.scene.orbit import TabledTarget, Target

    if isinstance(target, ElementSet):
        return Target(target.name, target.line1, target.line2)
    t = utc0_ns + np.arange(-BEFORE_NS, AFTER_NS, TABLE_NS, dtype=np.int64)
    known = target.known(t)
    after = np.argmax(known[1:] < known[:-1]) + 1 if (known[1:] < known[:-1]).any() else len(t)
    t = t[np.argmax(known) : after]
    position_m, frame = target.position_m(t), target.frame
    if target.frame is Frame.BCRF and target.solar_system is not None:
        position_m, frame = position_m - target.solar_system.position_m(EARTH, t), Frame.GCRF
    if frame not in {Frame.GCRF, Frame.ITRF, Frame.TEME} or np.linalg.norm(position_m, axis=-1).max() > RANGE_MAX_M:
        raise BenchError(f"the emulated sky has targets as far as the Moon, and {target.name} is no such target.")
    return TabledTarget(target.name, str(frame), t, position_m)


def _devices(rig: Rig, world: World, seed: int) -> Devices:
    from sim_hw.devices.beamboard import BeamBoard
    from sim_hw.devices.gcs2_mirror import Gcs2Mirror
    from sim_hw.devices.itc4000 import Itc4000
    from sim_hw.devices.pm100d import Pm100d
    from sim_hw.devices.sc10 import Sc10
    from sim_hw.devices.stages import STAGES
    from sim_hw.devices.u3v import U3vCamera
    from sim_hw.scene.noise import stream

    gimbal = _gimbal(rig, world, seed)
    stage = STAGES[rig.stage.driver](world.timeline) if rig.stage is not None else None
    mirror = Gcs2Mirror(world.timeline) if rig.mirror is not None else None
    if not isinstance(rig, Terminal):
        return Devices(gimbal, stage=stage, mirror=mirror)
    board = BeamBoard()
    world.attach(board)
    laser = Itc4000(world.timeline, world)
    return Devices(
        gimbal=gimbal,
        camera=U3vCamera(world.timeline, world.camera_spots, stream(seed, "camera noise")),
        beam_board=board,
        laser=laser,
        power_meter=Pm100d(world.timeline, world, stream(seed, "power meter"), rig.power_meter.wavelength_nm),
        shutter=Sc10(world.timeline, world) if rig.shutter is not None else None,
        stage=stage,
        mirror=mirror,
        star_camera=_star_camera(rig, world, seed) if rig.star_camera is not None else None,
    )


def _star_camera(rig: Terminal, world: World, seed: int) -> Any:
    """The emulator of the wide camera that the rig names, behind a lens of the field that the rig says."""
    from sim_hw.devices.u3v import U3vCamera
    from sim_hw.devices.u3v_memory import Identity
    from sim_hw.scene.frame import Sensor
    from sim_hw.scene.noise import stream

    if rig.star_camera is None:
        raise ValueError("the rig has no star camera")
    view, scene = world.mount_star_camera(math.radians(rig.star_camera.field_deg)), world.scenario.star_camera
    sensor = Sensor(
        width_px=scene.width_px,
        height_px=scene.height_px,
        pixel_scale_rad=view.pixel_scale_rad,
        spot_sigma_px=scene.spot_sigma_px,
        background_e_s=scene.background_electrons_per_s,
    )
    rng = stream(seed, "star camera noise")
    return U3vCamera(
        world.timeline,
        world.star_camera_spots,
        rng,
        sensor,
        Identity(model="BTC1024W", serial="B0002", guid="1209000B0002"),
    )


def _gimbal(rig: Rig, world: World, seed: int) -> Any:
    """The emulator of the gimbal that the rig names."""
    from sim_hw.devices.nexstar import NexStar
    from sim_hw.devices.rotators import ROTATORS
    from sim_hw.scene.noise import stream

    limits = {
        "rate_max_rad_s": rig.gimbal.rate_max_rad_s,
        "acceleration_max_rad_s2": rig.gimbal.acceleration_max_rad_s2,
    }
    more = {}
    if rig.gimbal.driver == "skywatcher":
        more["start_rad"] = rig.gimbal.start_rad
    if rig.gimbal.driver in ROTATORS:
        return ROTATORS[rig.gimbal.driver](world.timeline, world.gimbal, **limits, **more)
    site = {"latitude_deg": rig.station.latitude_deg, "longitude_deg": rig.station.longitude_deg}
    return NexStar(world.timeline, world.gimbal, stream(seed, "mount electronics"), **limits, **site)


def _in_memory(rig_path: Path, wanted: list[str], world: World, devices: Devices, utc0_ns: int) -> Bench:
    """Lockstep: pyserial by a registered URL, pyusb and pyvisa-py by an in-process backend."""
    from controller.services.lockstep import Lockstep
    from hal.wires.usb import register_backend
    from sim_hw.faults.wires import FaultyUsb
    from sim_hw.wires import memory_serial
    from sim_hw.wires.line import UNPACED_BAUD, SerialLine
    from sim_hw.wires.memory_usb import MemoryUsbBackend, as_default_backend

    number = next(_numbers)
    lockstep = Lockstep(world, utc0_ns)
    checked = load_rig(rig_path, dict.fromkeys(wanted, ""))
    usb = MemoryUsbBackend(lockstep)
    exchanges = _exchanges(world, devices)
    instruments = {name: getattr(devices, name).usb(exchange) for name, exchange in exchanges.items()}
    cameras = {name: FaultyUsb(device) for name in CAMERAS if (device := getattr(devices, name)) is not None}
    plugged = {**cameras, **instruments}
    for name, device in plugged.items():
        usb.plug(name, device)
    by_device: dict[str, SerialLine] = {
        device: SerialLine(
            world.timeline,
            getattr(devices, device),
            UNPACED_BAUD if checked.driver(device).networked else getattr(checked, device).baud,
            connects=checked.driver(device).networked,
        )
        for device in _on_lines(checked)
    }
    for device, line in by_device.items():
        if hasattr(emulator := getattr(devices, device), "another"):  # a unit of several connections
            line.add(emulator.another())
    lines = {f"{device}-{number}": line for device, line in by_device.items()}
    stack = ExitStack()
    resources = stack.enter_context(memory_serial.serving(lines, lockstep))
    stack.enter_context(as_default_backend(usb))
    register_backend("simusb", lambda location, clock: usb.at(location))
    addresses = {
        **{device: resources[line] for device, line in zip(by_device, lines, strict=True)},
        **{name: f"simusb://{name}" for name in cameras},
        **{name: _usbtmc(instrument) for name, instrument in instruments.items()},
    }
    rig = load_rig(rig_path, {device: addresses[device] for device in wanted})
    cables = {device: (line.hang_up, line.plug_in) for device, line in by_device.items()}
    cables |= {name: (partial(usb.unplug, name), partial(usb.plug, name, device)) for name, device in plugged.items()}
    faults = _faults(world, devices, by_device | exchanges | cameras, cables, wanted)
    return Bench(
        world, devices, rig, addresses, lockstep=lockstep, lines=by_device, usb=usb, faults=faults, _stack=stack
    )


def _door(reactor: Any, faults: Any, path: Path) -> Any:
    from sim_hw.faults.door import FaultDoor

    try:
        return FaultDoor(reactor, faults, path)
    except OSError as error:
        raise BenchError(f"{path}: no socket can be made there ({error}); choose a shorter --run-dir.") from None


def _on_lines(rig: Rig) -> list[str]:
    """The devices of a rig that are on serial lines."""
    return [device for device in ("gimbal", "beam_board", "shutter", "stage", "mirror") if device in rig.devices]


def _exchanges(world: World, devices: Devices) -> dict[str, Any]:
    """What the instruments hear and say, whatever carries it."""
    from sim_hw.devices.scpi import Exchange

    found = {name: getattr(devices, name) for name in ("laser", "power_meter")}
    return {name: Exchange(world.timeline, device.scpi) for name, device in found.items() if device is not None}


def _faults(
    world: World, devices: Devices, carriers: dict[str, Any], cables: dict[str, tuple[Any, Any]], wanted: list[str]
) -> Any:
    """The fault panel, with what the scenario has planned. Raises BenchError."""
    from sim_hw.faults.panel import Faults, Reach
    from sim_hw.faults.table import DEVICES, FaultError
    from sim_hw.scene.noise import stream

    found = {name: device for name in DEVICES if (device := getattr(devices, name)) is not None}
    conditions = {name: device.conditions() for name, device in found.items() if name != "beam_board"}
    if devices.beam_board is not None:
        conditions["beam_board"] = world.board_conditions()
    reach = {name: Reach(carriers[name], *cables[name], conditions[name]) for name in conditions if name in wanted}
    faults = Faults(world.timeline, stream(world.seed, "faults"), reach)
    try:
        for planned in world.scenario.faults:
            faults.at(planned.device, planned.fault, **planned.trigger(), parameters=planned.parameters())
    except FaultError as error:
        raise BenchError(f"scenario {world.scenario.name}: [[faults]] {error}") from None
    return faults


def _usbtmc(device: Any) -> str:
    """VISA's name of a USBTMC device, from its own descriptor."""
    vendor, product = (int.from_bytes(device.device_descriptor[i : i + 2], "little") for i in (8, 10))
    return f"visa://USB0::0x{vendor:04x}::0x{product:04x}::{device.strings[3]}::INSTR"


def _in_real_time(
    rig_path: Path, wanted: list[str], world: World, devices: Devices, clock: Clock, run_dir: Path | None
) -> Bench:
    """Serial ports as ptys, USB over USB/IP, the power meter on a raw socket: what other processes can open."""
    import numpy as np

    from sim_hw.scene.frame import FrameRenderer
    from sim_hw.wires.line import SerialLine
    from sim_hw.wires.pty import PtyPort
    from sim_hw.wires.reactor import Reactor
    from sim_hw.wires.tcp import TcpSessions

    FrameRenderer.warm_up()
    world.directions(np.arange(0.0, AHEAD_S, 1.0))  # what is slow to compute, for as long as a pass takes
    world.advance(WARM_UP_NS)  # compiles what the world needs before its time begins to count
    rig = load_rig(rig_path, dict.fromkeys(wanted, ""))
    now_ns = clock.now_ns()
    utc0_ns = world.timeline.utc0_ns
    offset_ns = utc0_ns - (clock.utc_ns() - now_ns) if clock.realtime else now_ns - world.now_ns
    reactor = Reactor(world, clock, offset_ns, world.work_ahead)
    stack = ExitStack()
    stack.callback(reactor.close)
    addresses: dict[str, str] = {}
    carriers: dict[str, Any] = {}
    cables: dict[str, tuple[Any, Any]] = {}
    if isinstance(rig, Terminal):
        _instruments(reactor, stack, world, devices, wanted, addresses, carriers, cables)
    for name in _on_lines(rig):
        device = getattr(devices, name)
        if hasattr(device, "another"):  # a unit of several connections, which no pty has
            sessions = TcpSessions(reactor, device.another)
            stack.callback(sessions.close)
            addresses[name], carriers[name] = sessions.resource, sessions
            cables[name] = (sessions.hang_up, sessions.plug_in)
            continue
        line = SerialLine(world.timeline, device, getattr(rig, name).baud)
        port = PtyPort(line, reactor, run_dir.absolute() / name if run_dir is not None else None)
        stack.callback(port.close)
        addresses[name] = port.resource
        carriers[name], cables[name] = line, (line.hang_up, port.replug)
    addresses = {device: addresses[device] for device in wanted}
    utc_offset_ns = 0 if clock.realtime else utc0_ns - offset_ns
    rig = load_rig(rig_path, addresses)
    faults = _faults(world, devices, carriers, cables, wanted)
    if run_dir is not None:
        stack.callback(_door(reactor, faults, run_dir / DOOR).close)
    return Bench(
        world, devices, rig, addresses, faults=faults, reactor=reactor, utc_offset_ns=utc_offset_ns, _stack=stack
    )


def _instruments(
    reactor: Any, stack: ExitStack, world: World, devices: Devices, wanted: list[str], addresses: dict[str, str],
    carriers: dict[str, Any], cables: dict[str, tuple[Any, Any]],
) -> None:  # fmt: skip
    """Serve a terminal's camera and laser over USB/IP and its power meter on a raw socket, and say where each is."""
    from sim_hw.faults.wires import FaultyUsb
    from sim_hw.wires.rawsocket import RawSocketServer
    from sim_hw.wires.usbip import UsbipServer

    exchanges = _exchanges(world, devices)
    laser, camera = devices.laser.usb(exchanges["laser"]), FaultyUsb(devices.camera)
    exported: dict[str, tuple[str, Any]] = {"camera": ("1-1", camera), "laser": ("1-2", laser)}
    if devices.star_camera is not None:
        exported["star_camera"] = "1-3", FaultyUsb(devices.star_camera)
    usb = UsbipServer(reactor, {busid: device for name, (busid, device) in exported.items() if name in wanted})
    stack.callback(usb.close)
    at = f"{usb.host}:{usb.port}"
    addresses |= {name: f"usbip://{at}/{busid}" for name, (busid, _) in exported.items()}
    addresses["laser"] = f"{_usbtmc(laser)}?usbip={at}/1-2"
    carriers |= {"camera": camera, **exchanges}
    for name, (busid, device) in exported.items():
        cables[name] = (partial(usb.unplug, busid), partial(usb.plug, busid, device))
    meter = RawSocketServer(reactor, exchanges["power_meter"])
    stack.callback(meter.close)
    addresses["power_meter"] = f"visa://{meter.resource}"
    cables["power_meter"] = (meter.switch_off, meter.switch_on)
