"""`boresight rig check FILE`, and what `resource = "emulated"` in a rig file stands for."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.geometry.horizon import HorizonError, horizon_at
from hal.clock import Clock, RealClock, ShiftedClock
from hal.errors import RigError
from hal.rig import DEVICES, HORIZON, MOTION, OPTIONAL, Rig, Terminal, emission_lock, load_rig

EMULATED = "emulated"
ADDRESS_FILE = "addresses.json"  # device -> resource; `boresight emulate` writes it into its run directory
WITHOUT_POWER = {
    "unknown": "not known; try it with the telescope balanced, and write without_power in [gimbal]",
    "holds": "hold still, by their worms or brakes",
    "falls": "fall; stow the telescope before its power goes",
    "turns freely": "turn freely; the wind moves them",
}
UTC_OFFSET = "utc_offset_ns"  # in that file, where the emulated world is of another epoch

app = typer.Typer(help="Checks rig files.", no_args_is_help=True, add_completion=False)


@app.callback()
def rig() -> None:
    """Checks rig files."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="Rig file, TOML.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Check a rig file without opening anything: all errors at once, and what stops each device when something dies."""
    try:
        checked = load_rig(file, dict.fromkeys(emulated_devices(file), ""))
        _check_ground(checked)
    except (RigError, HorizonError) as error:
        problems = list(error.problems) if isinstance(error, RigError) else [str(error)]
        if json_output:
            typer.echo(json.dumps({"file": str(file), "ok": False, "errors": problems}, indent=2))
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    summary = describe(checked)
    typer.echo(json.dumps(summary, indent=2) if json_output else _text(summary))


def _check_ground(checked: Rig) -> None:
    if MOTION in checked.companions:
        from controller.pointing.ground import Ground

        Ground.of(checked)


def emulated_devices(file: Path) -> list[str]:
    """Devices whose resource in `file` is the word "emulated"; none when it cannot be read: load_rig says why."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    sections = ((device, document.get(device)) for device in (*DEVICES, *OPTIONAL))
    return [device for device, section in sections if isinstance(section, dict) and section.get("resource") == EMULATED]


def all_emulated(rig: Rig, folder: Path) -> Path:
    """A copy of the rig file in which every device is emulated, with the files that it names."""
    section, lines = "", []
    for line in rig.path.read_text(encoding="utf-8").splitlines():
        header = re.match(r"\s*\[(\w+)\]", line)
        section = header[1] if header else section
        is_resource = section in rig.devices and re.match(r"\s*resource\s*=", line)
        lines.append('resource = "emulated"' if is_resource else line)
    for companion in rig.companions.values():
        if companion.is_file():
            shutil.copy(companion, folder)
    copy = folder / rig.path.name
    copy.write_text("\n".join(lines), encoding="utf-8")
    return copy


def resolve(file: Path, addresses: Mapping[str, str]) -> Rig:
    """Load a rig with the addresses of its emulated devices; a device with a real resource keeps it.

    Raises RigError, also when an emulated device has no address.
    """
    wanted = emulated_devices(file)
    absent = [device for device in wanted if device not in addresses]
    if absent:
        raise RigError(
            f"{file}: {', '.join(f'[{device}]' for device in absent)} emulated, but no emulator serves "
            f"{'it' if len(absent) == 1 else 'them'}; start one with `boresight emulate --rig {file}`."
        )
    return load_rig(file, {device: addresses[device] for device in wanted})


def resolve_in(file: Path, run_directory: Path) -> Rig:
    """Load a rig with the address file that `boresight emulate` wrote into `run_directory`.

    Raises RigError, also when a device is emulated and there is no such file.
    """
    return resolve(file, read_addresses(run_directory)) if emulated_devices(file) else load_rig(file)


def resolve_one(file: Path, device: str, run_directory: Path) -> Rig:
    """Load a rig of which one device is to be opened; the emulated ones among the others are left out of account.

    Raises RigError, also when the device is emulated and no emulator serves it.
    """
    others = {other: "" for other in emulated_devices(file) if other != device}
    if device not in emulated_devices(file):
        return load_rig(file, others)
    addresses = read_addresses(run_directory)
    if device not in addresses:
        raise RigError(
            f"{file}: [{device}] is emulated, but no emulator serves it; start one with `boresight emulate --rig "
            f"{file} --run-dir {run_directory}`."
        )
    return load_rig(file, {**others, device: addresses[device]})


def station_clock(file: Path, run_directory: Path) -> Clock:
    """The time of a station with this rig: real, or that of the emulated world that serves it."""
    offset_ns = read_addresses(run_directory).get(UTC_OFFSET, 0) if emulated_devices(file) else 0
    return ShiftedClock(int(offset_ns)) if offset_ns else RealClock()


def read_addresses(run_directory: Path) -> dict[str, Any]:
    """What `boresight emulate` wrote into `run_directory`; empty when none runs there. Raises RigError."""
    path = run_directory / ADDRESS_FILE
    try:
        addresses = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RigError(f"{path}: cannot be read ({error}); start `boresight emulate` again.") from error
    if not isinstance(addresses, dict):
        raise RigError(f"{path}: is no address file; start `boresight emulate` again.")
    return addresses


def describe(checked: Rig) -> dict[str, Any]:
    """What `rig check` reports, as JSON."""
    devices = {}
    for device in checked.devices:
        driver = checked.driver(device)
        devices[device] = {
            "driver": driver.name,
            "resource": EMULATED if device in checked.emulated else getattr(checked, device).resource,
            "emulated": device in checked.emulated,
            "when_process_dies": driver.stopped_by.process,
            "when_cable_is_pulled": driver.stopped_by.cable,
            "when_host_dies": driver.stopped_by.host,
        }
    return {
        "file": str(checked.path),
        "ok": True,
        "errors": [],
        "station": checked.station.name,
        "devices": devices,
        "motion_cut_off": checked.gimbal.motion_cut_off,
        "without_power": checked.gimbal.without_power,
        "emission_locked": [*emission_lock(checked), *horizon_at(checked.companions.get(HORIZON))[1]],
        "emits": isinstance(checked, Terminal),
        "enclosed_bench": isinstance(checked, Terminal) and checked.safety.enclosed_bench,
    }


def _text(summary: dict[str, Any]) -> str:
    lines = [f"{summary['file']}: station {summary['station']}, no errors"]
    for name, device in summary["devices"].items():
        lines.append(f"\n{name}: {device['driver']}, {device['resource']}")
        lines += [
            f"  {cause.replace('_', ' ')}: {device[cause]}"
            for cause in ("when_process_dies", "when_cable_is_pulled", "when_host_dies")
        ]
    lines.append(f"\nmotion cut-off: {summary['motion_cut_off']}")
    lines.append(f"the gimbal's axes without power: {WITHOUT_POWER[summary['without_power']]}")
    if not summary["emits"]:
        lines.append("emission: none, an RF station")
    elif summary["emission_locked"]:
        lines.append("emission: LOCKED")
        lines += [f"  {reason}" for reason in summary["emission_locked"]]
    else:
        lines.append("emission: not locked by this rig")
    if summary["enclosed_bench"]:
        lines.append(
            "enclosed bench: neither clearinghouse nor aircraft are asked; outdoors write enclosed_bench = false"
        )
    return "\n".join(lines)
