"""What a machine needs so that devices work on it: a picture of the machine, and the checks over it.

`picture` reads; `examine` judges. What is judged is a value, so that tests play machines.
"""

from __future__ import annotations

import ctypes.util
import grp
import os
import resource
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hal.kernel_time import kernel_time
from hal.udev import rules

State = Literal["ok", "warning", "wrong"]
RULES = "60-boresight.rules"
RULE_FOLDERS = ("/etc/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
GROUP = "plugdev"
LATENCY_MS = 1  # of an FTDI adapter: 16, as delivered, is longer than a reply
USBFS_MB = 128  # for a camera: 16, as delivered, holds less than one large frame
ERROR_MAX_S = 0.1  # of the clock: a LEO satellite moves 12 urad a ms at 600 km, seen from the ground
FREE_BYTES = 2 << 30
MEND_RULES = f"sudo cp udev/{RULES} /etc/udev/rules.d/ && sudo udevadm control --reload && sudo udevadm trigger"


@dataclass(frozen=True, slots=True)
class Picture:
    """What is so on a machine; None where it cannot be known."""

    rules_installed: str | None = None  # text of the rules file that udev reads
    udev: bool = True
    groups: frozenset[str] = frozenset()
    root: bool = False
    libusb: bool = True
    latency_ms: dict[str, int] = field(default_factory=dict)  # by tty
    usbfs_mb: int | None = None
    clock_synchronised: bool | None = None
    clock_error_s: float | None = None
    realtime_priority: int = 0  # the highest that this user may take
    modem_manager: bool = False
    free_bytes: int | None = None
    resources: dict[str, str] = field(default_factory=dict)  # device -> why its resource cannot be used, or empty


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: a sentence, and the command that mends it."""

    name: str
    state: State
    finding: str
    mend: str = ""


def examine(machine: Picture) -> list[Check]:
    """Everything that can be found, the order in which one would mend it."""
    return [
        _rules(machine),
        _group(machine),
        _check(
            "libusb", machine.libusb, "is there", "is missing: no USB device opens", "sudo apt install libusb-1.0-0"
        ),
        *(_latency(tty, ms) for tty, ms in sorted(machine.latency_ms.items())),
        _usbfs(machine),
        _clock(machine),
        _check(
            "real-time priority",
            machine.realtime_priority > 0,
            f"may be taken, up to {machine.realtime_priority}",
            "is not allowed: loops run late on a busy machine",
            "echo '@plugdev - rtprio 80' | sudo tee /etc/security/limits.d/boresight.conf, then log in again",
            "warning",
        ),
        _check(
            "ModemManager",
            not machine.modem_manager,
            "does not run",
            "runs: without our rules it talks to every serial port that it finds",
            "sudo systemctl disable --now ModemManager",
            "warning",
        ),
        _check(
            "disk",
            machine.free_bytes is None or machine.free_bytes > FREE_BYTES,
            "has room for recordings",
            f"has {(machine.free_bytes or 0) / 2**30:.1f} GiB left: a pass takes tens of MB, a wire log 1 MB a second",
            "boresight run --run-dir on another disk",
            "warning",
        ),
        *(
            Check(device, "wrong" if why else "ok", why or "its resource is there and may be opened", "")
            for device, why in machine.resources.items()
        ),
    ]


def _check(name: str, so: bool, good: str, bad: str, mend: str, state: State = "wrong") -> Check:
    return Check(name, "ok", good) if so else Check(name, state, bad, mend)


def _rules(machine: Picture) -> Check:
    if not machine.udev:
        return Check("udev rules", "warning", "no udev runs here: nodes belong to root and have no stable names", "")
    if machine.rules_installed is None:
        return Check("udev rules", "wrong", "are not installed", MEND_RULES)
    if machine.rules_installed != rules():
        return Check("udev rules", "warning", "are of another version than these drivers", MEND_RULES)
    return Check("udev rules", "ok", "are installed")


def _group(machine: Picture) -> Check:
    if machine.root or GROUP in machine.groups:
        return Check("group", "ok", "this user may open devices")
    mend = f"sudo usermod -aG {GROUP} $USER, then log in again"
    return Check("group", "warning", f"this user is not in {GROUP}: only the person at the seat may open devices", mend)


def _latency(tty: str, ms: int) -> Check:
    return _check(
        f"latency timer of {tty}",
        ms <= LATENCY_MS,
        f"is {ms} ms",
        f"is {ms} ms: every short reply waits for as long",
        f"echo {LATENCY_MS} | sudo tee /sys/bus/usb-serial/devices/{tty}/latency_timer",
    )


def _usbfs(machine: Picture) -> Check:
    if machine.usbfs_mb is None:
        return Check("USB memory", "ok", "the kernel has no limit of its own here")
    return _check(
        "USB memory",
        machine.usbfs_mb == 0 or machine.usbfs_mb >= USBFS_MB,
        f"is {machine.usbfs_mb} MB",
        f"is {machine.usbfs_mb} MB for all devices: a fast camera loses frames",
        f"echo {USBFS_MB} | sudo tee /sys/module/usbcore/parameters/usbfs_memory_mb",
        "warning",
    )


def _clock(machine: Picture) -> Check:
    mend = "sudo timedatectl set-ntp true"
    if machine.clock_synchronised is None:
        return Check("clock", "warning", "the kernel does not say whether it is synchronised", mend)
    if not machine.clock_synchronised:
        return Check("clock", "wrong", "is not synchronised: satellites are elsewhere, and nothing real may emit", mend)
    error_s = machine.clock_error_s or 0.0
    if error_s > ERROR_MAX_S:
        return Check("clock", "warning", f"is synchronised to {error_s:.3f} s only", mend)
    return Check("clock", "ok", f"is synchronised, to {error_s * 1e3:.0f} ms at worst")


def picture(folder: Path, resources: dict[str, str] | None = None) -> Picture:
    """This machine; `folder` is where recordings go, `resources` what each device of a rig names."""
    clock = kernel_time()
    names = {group.gr_name for group in (_group_of(number) for number in os.getgroups()) if group is not None}
    soft, _ = resource.getrlimit(resource.RLIMIT_RTPRIO) if hasattr(resource, "RLIMIT_RTPRIO") else (0, 0)
    usbfs = _text(Path("/sys/module/usbcore/parameters/usbfs_memory_mb"))
    return Picture(
        rules_installed=next((text for at in RULE_FOLDERS if (text := _text(Path(at) / RULES)) is not None), None),
        udev=Path("/run/udev").is_dir(),
        groups=frozenset(names),
        root=os.geteuid() == 0,
        libusb=ctypes.util.find_library("usb-1.0") is not None,
        latency_ms={
            path.parent.name: int(text)
            for path in Path("/sys/bus/usb-serial/devices").glob("*/latency_timer")
            if (text := _text(path)) is not None and text.strip().isdigit()
        },
        usbfs_mb=int(usbfs) if usbfs is not None and usbfs.strip().isdigit() else None,
        clock_synchronised=None if clock is None else clock.synchronised,
        clock_error_s=None if clock is None else clock.error_max_s,
        realtime_priority=99 if os.geteuid() == 0 else max(0, soft),
        modem_manager=_runs("ModemManager"),
        free_bytes=shutil.disk_usage(folder if folder.is_dir() else Path.cwd()).free,
        resources={device: why_not_usable(where) for device, where in (resources or {}).items()},
    )


def why_not_usable(where: str) -> str:
    """Why a port of this machine could not be opened, without opening it; empty when nothing speaks against it."""
    if not where.startswith("serial://"):
        return ""
    path = Path(where.removeprefix("serial://"))
    if not path.exists():
        return f"{path} does not exist; plug the device in, or name its port in the rig file"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"{path} may not be opened by this user; install the udev rules and plug it in again"
    return ""


def _group_of(number: int) -> grp.struct_group | None:
    try:
        return grp.getgrgid(number)
    except KeyError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _runs(name: str) -> bool:
    return any((_text(path) or "").strip() == name for path in Path("/proc").glob("[0-9]*/comm"))
