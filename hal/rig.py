"""rig.toml: the devices of one station. Reads it, checks it, opens what it names.

Every error of a file is found at once; each is a sentence with file, key, what is allowed and the nearest valid name.
"""

from __future__ import annotations

import os
import re
import tomllib
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, ValidationError

from hal.clock import Clock
from hal.drivers import DRIVERS, Driver
from hal.errors import ResourceError, RigError
from hal.rig_problems import problems_of
from hal.rig_safety import AircraftSection, ClearinghouseSection, EmissionSafetySection, SafetySection
from hal.rig_sections import (
    AcquisitionSection,
    BeamBoardSection,
    BusSection,
    CameraSection,
    GimbalSection,
    LaserSection,
    LinkSection,
    MirrorSection,
    OpticsSection,
    PowerMeterSection,
    RadioSection,
    RecordingSection,
    Section,
    ShutterSection,
    StageSection,
    StarCameraSection,
    StationSection,
)
from hal.rig_supervisor import SupervisorSection
from hal.wires.wirelog import is_replay

HORIZON, CLEARANCE = "[safety] horizon_mask", "[clearinghouse] file"  # keys that name a file
MOTION = "[gimbal] horizon_mask"
DEVICES = ("gimbal", "camera", "beam_board", "laser", "power_meter")  # of every terminal
OPTIONAL = ("shutter", "stage", "mirror", "star_camera")  # of a rig that has one
HERE = re.compile(r"(?:^|::|=|\[)(?:127(?:\.\d+){3}|localhost|::1)(?:[:\]/]|$)", re.IGNORECASE)  # a host of a resource
SPEED_OF_LIGHT_M_S = 299_792_458.0


class Rig(Section):
    """A rig file that has passed every check: what a Terminal and an RfStation have in common."""

    station: StationSection
    gimbal: GimbalSection
    stage: StageSection | None = None
    mirror: MirrorSection | None = None
    safety: SafetySection
    bus: BusSection = BusSection()
    recording: RecordingSection = RecordingSection()
    supervisor: SupervisorSection = SupervisorSection()

    _path: Path = PrivateAttr(default=Path())
    _emulated: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def emulated(self) -> frozenset[str]:
        """Devices that are not real: their resource was given from outside, or is the replay of a wire log."""
        return self._emulated

    @property
    def devices(self) -> tuple[str, ...]:
        """Those of DEVICES and OPTIONAL that this rig has."""
        return tuple(device for device in (*DEVICES, *OPTIONAL) if getattr(self, device, None) is not None)

    @property
    def companions(self) -> dict[str, Path]:
        """Files in the rig file's folder that it names, by key."""
        mask = self.gimbal.horizon_mask
        return {} if mask is None else {MOTION: self._path.parent / mask}

    @property
    @abstractmethod
    def receive_wavelength_m(self) -> float:
        """Of what it receives."""

    def driver(self, device: str) -> Driver:
        """The table row of the driver of one of `devices`."""
        return DRIVERS[getattr(self, device).driver]


class Terminal(Rig):
    """A rig with a laser, and with all that a laser needs."""

    camera: CameraSection
    star_camera: StarCameraSection | None = None
    beam_board: BeamBoardSection = Field(description="a laser is driven behind the enable line of a beam board only")
    laser: LaserSection
    power_meter: PowerMeterSection
    shutter: ShutterSection | None = None
    optics: OpticsSection
    acquisition: AcquisitionSection
    link: LinkSection
    safety: EmissionSafetySection
    clearinghouse: ClearinghouseSection = ClearinghouseSection()
    aircraft: AircraftSection = AircraftSection()

    @property
    def companions(self) -> dict[str, Path]:
        """Files in the rig file's folder that it names, by key."""
        named = {HORIZON: self.safety.horizon_mask, CLEARANCE: self.clearinghouse.file}
        return super().companions | {key: self._path.parent / name for key, name in named.items() if name is not None}

    @property
    def receive_wavelength_m(self) -> float:
        """Of what it receives."""
        return self.optics.receive_wavelength_nm * 1e-9


class RfStation(Rig):
    """A rig whose gimbal turns an antenna. It follows a target open loop, and emits nothing."""

    radio: RadioSection

    @property
    def receive_wavelength_m(self) -> float:
        """Of what it receives."""
        return SPEED_OF_LIGHT_M_S / (self.radio.frequency_mhz * 1e6)


def load_rig(path: Path | str, addresses: Mapping[str, str] | None = None) -> Rig:
    """Read and check a rig file.

    `addresses` gives resources (by device) to devices whose `resource` in the file is a word and no address; such a
    device counts as emulated for as long as the Rig lives. An empty address is enough to check a file offline.

    Raises RigError with every problem of the file.
    """
    path = Path(path)
    document = _read(path)
    problems: list[str] = []
    emulated = _resolve(document, addresses or {}, problems)
    model: type[Rig] = RfStation if "radio" in document else Terminal
    rig: Rig | None = None
    try:
        rig = model.model_validate(document)
    except ValidationError as error:
        problems += problems_of(error, model, document)
    problems += _resource_problems(document, emulated)
    if rig is not None:
        rig._path, rig._emulated = path, emulated
        problems += [
            f'{key} = "{file.name}" is not there; put it beside the rig file'
            for key, file in rig.companions.items()
            if key != CLEARANCE and not file.is_file()  # a message may come later, and is a no until then
        ]
    if problems or rig is None:
        sentences = tuple(f"{path}: {problem}." for problem in problems)
        raise RigError("\n".join(sentences), sentences)
    return rig


def as_terminal(rig: Rig) -> Terminal:
    """The rig, for what only a terminal can do. Raises RigError for an RF station."""
    if isinstance(rig, Terminal):
        return rig
    raise RigError(f"{rig.path}: is an RF station ([radio]), which has neither camera nor laser for that.")


def open_device(rig: Rig, device: str, clock: Clock, **more: Any) -> Any:
    """Open one of the rig's devices with the driver that the rig names; what it returns implements the device's trait.

    `more` is told to the driver: `wakes` = False for a gimbal that is to be looked at only.
    Raises ResourceError for a device that the rig has not, when a real one is to be driven in simulated time, and
    whatever the driver raises.
    """
    if device not in rig.devices:
        raise ResourceError(f"{device}: this rig has none; write [{device}] in the rig file.")
    if not clock.realtime and device not in rig.emulated:
        raise ResourceError(
            f"{device}: {getattr(rig, device).resource} is real, and simulated time drives emulated devices only; "
            "run the station in real time."
        )
    return rig.driver(device).opening(device)(rig, clock, **more)


def emission_lock(rig: Rig, realtime: bool = True) -> list[str]:
    """Why emission stays locked with this rig; empty when nothing of it forbids emission.

    What comes from an emulator never counts towards real emission. Emission is real when the laser is, or the enable
    line: what a real enable line leads to cannot be known.
    """
    real = [device for device in ("laser", "beam_board") if device in rig.devices and device not in rig.emulated]
    if not real:
        return []
    named = " and ".join(real)
    reasons = [
        f"{device} is emulated and {named} {'is' if len(real) == 1 else 'are'} real: what an emulator says never arms "
        f"real emission; give [{device}] a real resource"
        for device in rig.devices
        if device in rig.emulated
    ]
    reasons += [
        f"{device} is at {address}, where emulators are, and {named} {'is' if len(real) == 1 else 'are'} real: give "
        f"[{device}] the resource of the device itself"
        for device in rig.devices
        if device not in rig.emulated and at_emulators(address := getattr(rig, device).resource)
    ]
    if not realtime:
        reasons.append(f"time is simulated and {named} {'is' if len(real) == 1 else 'are'} real")
    return reasons


def at_emulators(resource: str) -> bool:
    """Whether a resource is of the kind that emulators have and devices have not: a pseudo-terminal, or USB or VISA by
    a socket of this machine. (Servers for mounts do run here, for real mounts, so that their sockets tell nothing.)
    """
    scheme, _, location = resource.partition("://")
    if scheme == "serial" or location.startswith("ASRL/"):
        return os.path.realpath(location.removeprefix("ASRL").partition("::")[0]).startswith("/dev/pts/")
    return scheme in ("usbip", "visa") and HERE.search(location) is not None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise RigError(f"{path}: no such rig file; controller/data/rigs/ogs.toml is a complete example.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RigError(f"{path}: cannot be read as a rig file ({error}).") from error
    except tomllib.TOMLDecodeError as error:
        raise RigError(f"{path}: is not TOML: {error}.") from error


def _resolve(document: dict[str, Any], addresses: Mapping[str, str], problems: list[str]) -> frozenset[str]:
    """Put `addresses` in place of words; returns the devices that are not real."""
    emulated = set()
    for device, address in addresses.items():
        section = document.get(device)
        if not isinstance(section, dict) or device not in (*DEVICES, *OPTIONAL):
            continue  # the section is missing, which is told elsewhere
        if _is_address(section.get("resource")) and section["resource"] != address:
            problems.append(f'[{device}] resource = "{section["resource"]}" is real; an emulator may not replace it')
            continue
        section["resource"] = address or f"unresolved://{device}"
        emulated.add(device)
    sections = ((device, document.get(device)) for device in (*DEVICES, *OPTIONAL))
    replayed = {d for d, s in sections if isinstance(s, dict) and is_replay(str(s.get("resource")))}
    return frozenset(emulated | replayed)


def _resource_problems(document: dict[str, Any], emulated: frozenset[str]) -> list[str]:
    problems: list[str] = []
    seen: dict[str, str] = {}
    for device in (*DEVICES, *OPTIONAL):
        section = document.get(device)
        resource = section.get("resource") if isinstance(section, dict) else None
        if not isinstance(section, dict) or not isinstance(resource, str):
            continue
        driver = DRIVERS.get(str(section.get("driver")))
        allowed = " or ".join(driver.resources) if driver else "serial:///dev/..., usb://... or visa://..."
        if not _is_address(resource):
            problems.append(f'[{device}] resource = "{resource}" is no address; write {allowed}')
            continue
        fits = driver is not None and driver.serves(device)  # a wrong driver is told elsewhere
        if driver and fits and device not in emulated and resource.partition("://")[0] not in driver.schemes:
            problems.append(f'[{device}] resource = "{resource}" is nothing that {driver.name} opens; write {allowed}')
        other = seen.setdefault(_port(resource), device)
        if other != device:
            problems.append(f'[{device}] resource = "{resource}" is the same port as [{other}] has; each needs its own')
    return problems


def _is_address(resource: object) -> bool:
    return isinstance(resource, str) and "://" in resource


def _port(resource: str) -> str:
    """One name for one port, whatever link leads to it."""
    scheme, _, location = resource.partition("://")
    return f"{scheme}://{os.path.realpath(location) if location.startswith('/') else location.casefold()}"
