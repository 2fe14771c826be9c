"""The Linux kernel's word for our emulated USB devices, and our drivers on its nodes (`make kernel-test`).

A Debian kernel in QEMU attaches camera, power meter and beam board by its own USB/IP client; guest.py asks it what it
sees and runs the real drivers there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kernel_machine import ROOT, boot, initramfs, prepare

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    kernel, unpacked, version = prepare()
    state = tmp_path_factory.mktemp("kernel") / "state.jsonl"
    bench = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("bench.py")), str(state)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        assert bench.stdout is not None
        port = int(bench.stdout.readline())
        command = f"{sys.executable} {Path(__file__).with_name('guest.py')} {port}"
        console = boot(kernel, initramfs(unpacked, version, command))
    finally:
        bench.communicate()
    told = [line.partition("RESULTS ")[2] for line in console if "RESULTS " in line]
    assert told, "the guest told nothing:\n" + "\n".join(console[-30:])
    results = json.loads(told[-1])
    results["states"] = [json.loads(line) for line in state.read_text().splitlines()]
    return results


def test_usbtmc_and_cdc_acm_bind_by_themselves(seen: dict[str, Any]) -> None:
    assert seen["power_meter drivers"] == ["usbtmc"]
    assert seen["beam_board drivers"] == ["cdc_acm", "cdc_acm"]
    assert seen["camera drivers"] == []  # left to libusb


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("camera", ["idVendor           0x1209", "bInterfaceClass       239 Miscellaneous", "Bulk", "B0001"]),
        (
            "power_meter",
            ["idVendor           0x1313", "bInterfaceClass       254", "bInterfaceSubClass      3", "P0009084"],
        ),
        ("beam_board", ["CDC ACM", "CDC Union", "bMasterInterface        0", "CDC Data", "BB0042"]),
    ],
)
def test_lsusb_reads_sane_descriptors(seen: dict[str, Any], device: str, words: list[str]) -> None:
    told = seen[f"{device} lsusb"]
    assert isinstance(told, str), told
    assert [word for word in words if word not in told] == []
    # lsusb knows no vision class: the camera's device information (USB3 Vision 1.0: 20 bytes, type 24h, subtype 1)
    unknown = [line.split() for line in told.splitlines() if "UNRECOGNIZED" in line]
    assert [words[2:5] for words in unknown] == ([["14", "24", "01"]] if device == "camera" else [])
    assert "Warning" not in told


def test_our_rules_let_members_of_plugdev_open_what_we_drive(seen: dict[str, Any]) -> None:
    for name in ("camera node", "power_meter node", "tty node"):
        assert (seen[name].get("mode"), seen[name].get("group")) == ("0o660", "plugdev"), (name, seen[name])


def test_our_rules_give_the_serial_port_a_stable_name(seen: dict[str, Any]) -> None:
    assert seen["links"]["/dev/boresight/beamboard"] == "/dev/ttyACM0"
    assert seen["links"]["/dev/boresight/beamboard-BB0042"] == "/dev/ttyACM0"
    assert seen["links"]["/dev/boresight/power_meter-P0009084"] == "/dev/usbtmc0"


def test_our_rules_keep_devices_from_being_suspended(seen: dict[str, Any]) -> None:
    assert seen["power"] == {"camera": "on", "power_meter": "on", "beam_board": "on"}


def test_baud_rate_parity_dtr_rts_and_break_arrive_through_the_kernel(seen: dict[str, Any]) -> None:
    assert seen["serial settings"] == "set"
    states = seen["states"]
    assert any((s["baud"], s["data_bits"], s["parity"]) == (57_600, 7, "E") for s in states)
    assert any(s["dtr"] and not s["rts"] for s in states)
    assert any(s["rts"] and not s["dtr"] for s in states)
    assert any(s["brk"] for s in states)
    assert not states[-1]["brk"]


def test_the_kernels_own_usbtmc_node_answers(seen: dict[str, Any]) -> None:
    assert seen["kernel's usbtmc"] == "Thorlabs,PM100D,P0009084,2.4.0"


def test_our_drivers_work_over_the_real_libusb_and_tty(seen: dict[str, Any]) -> None:
    assert seen["frames"] == [64 * 64] * 3
    assert seen["watts"] == pytest.approx(3e-6, rel=0.05)
    assert seen["board"] == {"mode": "idle", "enabled": False, "serial": 42}


@pytest.mark.parametrize("device", ["camera", "meter", "board"])
def test_a_detach_is_a_hot_unplug_that_the_driver_survives(seen: dict[str, Any], device: str) -> None:
    assert str(seen[f"{device} unplugged"]).startswith("WireError after"), seen[f"{device} unplugged"]
    again = seen[f"{device} attached again"]
    board = {"mode": "idle", "enabled": False, "serial": 42}
    assert again == {"camera": [64 * 64], "meter": pytest.approx(3e-6, rel=0.05), "board": board}[device]
