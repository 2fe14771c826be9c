"""docs/devices.md: driver x wire x fault x stranger, made from what the tests run (`python docs/devices.py`)."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

from hal.devices.rotator import Rotator
from hal.drivers import DRIVERS
from sim_hw.faults.table import TABLE

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "devices.md"
WIRES = ROOT / "tests" / "conformance" / "test_wires.py"
# Who else's client accepts the emulator, and the test that runs it.
STRANGERS = {
    "nexstar": {"Hamlib rotctl": "strangers/test_hamlib_nexstar.py", "INDI": "strangers/test_indi_nexstar.py"},
    "easycomm": {"Hamlib rotctl": "strangers/test_hamlib_easycomm.py"},
    "easycomm2": {"Hamlib rotctl": "strangers/test_hamlib_rotators.py"},
    "easycomm3": {"Hamlib rotctl": "strangers/test_hamlib_rotators.py"},
    "gs232a": {"Hamlib rotctl": "strangers/test_hamlib_rotators.py"},
    "gs232b": {"Hamlib rotctl": "strangers/test_hamlib_rotators.py"},
    "rotctld": {"Hamlib rotctld, rotctl": "strangers/test_hamlib_rotctld.py"},
    "indi": {"indiserver, its telescope simulator": "strangers/test_indiserver.py"},
    "alpaca": {"ASCOM's alpyca, alpaca-simulators": "strangers/test_alpaca.py"},
    "skywatcher": {"INDI's EQMod (serial) and AZ-GTi (UDP)": "strangers/test_indi_skywatcher.py"},
    "lx200": {"Hamlib rotctl": "strangers/test_hamlib_lx200.py", "INDI": "strangers/test_indi_lx200.py"},
    "ioptron": {"INDI": "strangers/test_indi_ioptron.py"},
    "flir_ptu": {"flirptu": "strangers/test_flirptu.py"},
    "pelco_d": {},
    "rot1prog": {"Hamlib rotctl": "strangers/test_hamlib_rotators.py"},
    "rot2prog": {"Hamlib rotctl": "strangers/test_hamlib_rotators.py"},
    "md01": {"Hamlib rotctl": "strangers/test_hamlib_rotators.py"},
    "u3v": {
        "Aravis over real libusb": "strangers/test_aravis.py",
        "usbip": "strangers/test_usbip_tool.py",
        "Linux kernel, libusb": "kernel/test_kernel.py",
    },
    "beamboard": {"Linux kernel's cdc_acm": "kernel/test_kernel.py"},
    "pm100d": {
        "PyVISA's resource manager": "strangers/test_pyvisa.py",
        "Linux kernel's usbtmc": "kernel/test_kernel.py",
    },
    "sc10": {},
    "zaber": {"Zaber's zaber-motion": "strangers/test_zaber_motion.py"},
    "apt": {"thorlabs-apt-device": "strangers/test_thorlabs_apt.py"},
    "xps": {"newportxps": "strangers/test_newportxps.py"},
    "gcs2_mirror": {"PI's PIPython": "strangers/test_pipython.py"},
    "gcs2": {"PI's PIPython": "strangers/test_pipython.py"},
    "itc4000": {"PyVISA's resource manager": "strangers/test_pyvisa.py"},
}

# No client of these installs beside this Python: what their bytes were checked against, and where.
WITHOUT_STRANGER = {
    "pelco_d": ("golden frames of PELCO's D Protocol Manual (TF-0002)", "hal/devices/test_pelco_d.py"),
    "sc10": ("the manual's bytes and those of InstrumentKit's tests", "hal/devices/test_sc10.py"),
}


def wires() -> dict[str, tuple[str, ...]]:
    """Driver -> wires that its suite is run over in real time, read from the test."""
    for node in ast.parse(WIRES.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "WIRES":
            found: dict[str, tuple[str, ...]] = ast.literal_eval(node.value)
            return found
    raise LookupError(f"{WIRES} has no WIRES")


def drives() -> list[str]:
    """What each gimbal's protocol has of drives: read from the drivers."""
    lines = [
        "## Drives: power, brakes, parking",
        "",
        "What a gimbal's protocol tells of its drives, and what `boresight rig drives` can do to them. A drive",
        "that is off, parked or blocked refuses motion with a sentence that says what to do. No protocol here has a",
        "brake to set; what the axes do without power is the mount's own, and stands in the rig (`without_power`).",
        "",
        "| driver | tells | takes |",
        "|---|---|---|",
    ]
    silent = []
    for driver in DRIVERS.values():
        if driver.device != "gimbal" or driver.stop_axes is None:
            continue
        module = import_module(f"hal.devices.{driver.stop_axes.module}")
        told = [c.drives_told for c in vars(module).values() if isinstance(c, type) and issubclass(c, Rotator)]
        states = [one for one in told if one.tells]
        if states:
            lines.append(
                f"| {driver.name} | {', '.join(sorted(states[0].tells))} | {', '.join(sorted(states[0].takes))} |"
            )
        else:
            silent.append(driver.name)
    return [*lines, "", f"Nothing: {', '.join(silent)}. An axis of theirs that has no power just does not move."]


def page() -> str:
    """The whole page."""
    lines = [
        "# Devices: wires, faults, strangers",
        "",
        "Made by `python docs/devices.py` from what the tests run: the suite of its trait over each wire",
        "(`tests/conformance`), and in lockstep with motion, on its emulator and on the replay of that; every fault of",
        "[the table](faults.md) that it can have (`tests/faults`); and other people's clients on its emulator.",
        "Hamlib there is Debian's 4.5.4; what 4.7.2 sends is replayed byte by byte",
        "(`tests/sim_hw/devices/test_hamlib_4_7.py`).",
        "",
        "| driver | trait's suite over | faults | strangers |",
        "|---|---|---|---|",
    ]
    over = wires()
    for driver in DRIVERS.values():
        words = [word.name for word in TABLE.values() if word.applies_to(driver.device)]
        lacks = [word.name for word in TABLE.values() if not word.applies_to(driver.device)]
        faults = f"{len(words)} of {len(TABLE)}" + (f" (not {', '.join(lacks)})" if lacks else "")
        strangers = "; ".join(f"[{name}](../tests/{test})" for name, test in STRANGERS[driver.name].items())
        if driver.name in WITHOUT_STRANGER:
            frames, test = WITHOUT_STRANGER[driver.name]
            strangers = f"none yet; [{frames}](../tests/{test})"
        carried = ", ".join(["lockstep", *over[driver.name], "replay"])
        lines.append(f"| {driver.name} ({driver.device}) | {carried} | {faults} | {strangers} |")
    lines += ["", *drives()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
