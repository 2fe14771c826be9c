"""What a rig file should say of what is plugged in: machines that a test plays, and a real USB/IP exporter."""

from __future__ import annotations

import json
import tomllib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import usb.core
from reactor_loop import Loop

from controller.cli import main
from hal.errors import ResourceError
from hal.plugged import Plugged, suggest
from hal.wires.usbip_list import exported
from sim_hw.devices.pm100d import Pm100d
from sim_hw.devices.u3v import U3vCamera
from sim_hw.timeline import Timeline
from sim_hw.wires.usbip import UsbipServer


@pytest.fixture(scope="module", autouse=True)
def libusb() -> None:
    """libusb opens a socket of its own when it is first used, and keeps it until the process ends."""
    with suppress(usb.core.NoBackendError):  # there is none on this machine
        list(usb.core.find(find_all=True))


class Light:
    def received_power_w(self) -> float:
        return 0.0


@pytest.fixture
def by_id(tmp_path: Path) -> Path:
    """A machine whose adapter AB12 is ttyUSB1 today."""
    (tmp_path / "ttyUSB1").touch()
    links = tmp_path / "by-id"
    links.mkdir()
    (links / "usb-FTDI_FT232R_AB12-if00-port0").symlink_to(tmp_path / "ttyUSB1")
    return links


def test_a_serial_adapter_is_named_by_its_serial_number(by_id: Path) -> None:
    tty = str(by_id.parent / "ttyUSB1")
    (suggestion,) = suggest([Plugged(0x0403, 0x6001, "AB12", tty=tty)], by_id)
    assert suggestion.section == "gimbal"
    assert suggestion.resource == f"serial://{by_id}/usb-FTDI_FT232R_AB12-if00-port0"
    section = tomllib.loads(suggestion.toml())["gimbal"]
    assert section == {"driver": "nexstar", "resource": suggestion.resource, "baud": 9600}


def test_a_port_without_a_link_comes_with_a_warning(by_id: Path) -> None:
    (suggestion,) = suggest([Plugged(0x067B, 0x2303, tty="/dev/ttyUSB9")], by_id)
    assert suggestion.resource == "serial:///dev/ttyUSB9"
    assert "changes when it is plugged in elsewhere" in suggestion.note


def test_an_unknown_adapter_is_a_comment_with_a_hint(by_id: Path) -> None:
    (suggestion,) = suggest([Plugged(0x10C4, 0xEA60, "X", "CP2102", tty="/dev/ttyUSB2")], by_id)
    assert tomllib.loads(suggestion.toml()) == {}
    assert "CP2102: no driver names this adapter" in suggestion.toml()


def test_cameras_and_instruments_are_named_by_serial_number(by_id: Path) -> None:
    found = suggest([Plugged(0x2BA2, 0x4D55, "C7", interfaces=("ef0500",)), Plugged(0x1313, 0x8078, "P1")], by_id)
    assert [(s.section, s.resource) for s in found] == [
        ("camera", "usb://2ba2:4d55/C7"),
        ("power_meter", "visa://USB0::0x1313::0x8078::P1::INSTR"),
    ]


def test_mice_and_keyboards_are_not_mentioned(by_id: Path) -> None:
    assert suggest([Plugged(0x046D, 0xC31C, interfaces=("030101",))], by_id) == []


def test_what_another_machine_exports_is_suggested_too(capsys: pytest.CaptureFixture[str]) -> None:
    timeline = Timeline()
    with Loop(timeline) as loop:
        camera = U3vCamera(timeline, lambda t0_ns, t1_ns: [], np.random.default_rng(1))
        meter = Pm100d(timeline, Light(), np.random.default_rng(1)).usb()
        server = loop.call(lambda: UsbipServer(loop.reactor, {"1-1": camera, "2-3": meter}))
        main(["rig", "suggest", "--json", "--usbip", f"127.0.0.1:{server.port}"])
        loop.call(server.close)
    told = json.loads(capsys.readouterr().out)["devices"]
    resources = {device["section"]: device["resource"] for device in told}
    assert resources["camera"] == f"usbip://127.0.0.1:{server.port}/1-1"
    assert resources["power_meter"].endswith(f"?usbip=127.0.0.1:{server.port}/2-3")


def test_an_exporter_that_is_none_is_named() -> None:
    with pytest.raises(ResourceError, match=r"127\.0\.0\.1:1 lists no USB devices"):
        exported("127.0.0.1", 1)
