"""What the doctor finds on machines that a test plays, and that this machine can be looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hal.machine import Picture, examine, picture, why_not_usable
from hal.udev import rules

GOOD = Picture(
    rules_installed=rules(),
    groups=frozenset({"plugdev"}),
    latency_ms={"ttyUSB0": 1},
    usbfs_mb=1000,
    clock_synchronised=True,
    clock_error_s=0.004,
    realtime_priority=80,
    free_bytes=100 << 30,
)


def test_a_good_machine_has_nothing_to_mend() -> None:
    assert [check for check in examine(GOOD) if check.state != "ok"] == []
    assert [check for check in examine(GOOD) if check.mend] == []


@pytest.mark.parametrize(
    ("change", "name", "state", "command"),
    [
        ({"rules_installed": None}, "udev rules", "wrong", "udevadm trigger"),
        ({"rules_installed": "# of last year\n"}, "udev rules", "warning", "60-boresight.rules"),
        ({"groups": frozenset({"users"})}, "group", "warning", "usermod -aG plugdev"),
        ({"libusb": False}, "libusb", "wrong", "libusb-1.0-0"),
        ({"latency_ms": {"ttyUSB0": 1, "ttyUSB1": 16}}, "latency timer of ttyUSB1", "wrong", "ttyUSB1/latency_timer"),
        ({"usbfs_mb": 16}, "USB memory", "warning", "usbfs_memory_mb"),
        ({"clock_synchronised": False}, "clock", "wrong", "set-ntp true"),
        ({"clock_error_s": 0.8}, "clock", "warning", "set-ntp true"),
        ({"realtime_priority": 0}, "real-time priority", "warning", "rtprio"),
        ({"modem_manager": True}, "ModemManager", "warning", "disable --now"),
        ({"free_bytes": 1 << 20}, "disk", "warning", "--run-dir"),
    ],
)
def test_each_thing_that_is_wrong_is_named_with_the_command_that_mends_it(
    change: dict[str, Any], name: str, state: str, command: str
) -> None:
    wrong = [check for check in examine(replace(GOOD, **change)) if check.state != "ok"]
    assert [(check.name, check.state) for check in wrong] == [(name, state)]
    assert command in wrong[0].mend


def test_a_port_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "does not exist" in why_not_usable(f"serial://{tmp_path}/ttyUSB9")
    (tmp_path / "ttyUSB0").touch()
    assert why_not_usable(f"serial://{tmp_path}/ttyUSB0") == ""
    found = examine(replace(GOOD, resources={"gimbal": "it does not exist"}))
    assert [check.state for check in found if check.name == "gimbal"] == ["wrong"]


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    machine = picture(tmp_path)
    assert machine.free_bytes is not None
    assert machine.free_bytes > 0
    assert machine.clock_error_s is None or machine.clock_error_s >= 0.0
    assert len(examine(machine)) >= 7
