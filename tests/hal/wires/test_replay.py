"""A wire log of each kind of wire, recorded from the emulators by the real drivers and played back to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ideal_axes import IdealAxes

from controller.services.lockstep import Lockstep
from hal.devices.nexstar import NexStar
from hal.devices.pm100d import Pm100d
from hal.devices.u3v import U3vCamera
from hal.errors import ResourceError, WireError, WireTimeout
from hal.traits import AxisPosition, Region
from hal.wires import wirelog
from hal.wires.usb import register_backend
from sim_hw.devices import nexstar as emulated_nexstar
from sim_hw.devices import pm100d as emulated_pm100d
from sim_hw.devices import u3v as emulated_u3v
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving
from sim_hw.wires.memory_usb import MemoryUsbBackend, as_default_backend


def gimbal(resource: str, clock: Lockstep) -> NexStar:
    return NexStar(
        resource, 9600, clock, rate_max_rad_s=0.05, acceleration_max_rad_s2=0.03, command_latency_s=0.075
    )  # fmt: skip


def some_motion(mount: NexStar, clock: Lockstep) -> list[AxisPosition]:
    seen = [mount.position()]
    mount.set_rate(0.01, -0.005)
    for _ in range(5):
        clock.sleep_until(clock.now_ns() + NS // 5)
        seen.append(mount.position())
    mount.stop()
    return seen


@pytest.fixture
def mount_log(tmp_path: Path) -> tuple[Path, list[AxisPosition]]:
    timeline = Timeline()
    axes = IdealAxes(timeline, azimuth_deg=123.4, elevation_deg=45.6)
    line = SerialLine(timeline, emulated_nexstar.NexStar(timeline, axes, np.random.default_rng(3)), 9600)
    clock = Lockstep(timeline)
    with serving({"gimbal": line}, clock) as resources, wirelog.logging_to(tmp_path):
        mount = gimbal(resources["gimbal"], clock)
        seen = some_motion(mount, clock)
        line.hang_up()
        with pytest.raises(WireError):
            mount.position()
        mount.close()
    return tmp_path / "gimbal.wire.jsonl", seen


@pytest.fixture
def clock() -> Lockstep:
    return Lockstep(Timeline())


def test_a_replayed_mount_says_what_the_mount_said_and_takes_as_long(
    mount_log: tuple[Path, list[AxisPosition]], clock: Lockstep
) -> None:
    path, seen = mount_log
    mount = gimbal(f"replay://{path}", clock)
    again = some_motion(mount, clock)
    assert [(p.azimuth_rad, p.elevation_rad) for p in again] == [(p.azimuth_rad, p.elevation_rad) for p in seen]
    assert np.diff([p.t_ns for p in again]) == pytest.approx(np.diff([p.t_ns for p in seen]), abs=3_000_000)
    assert again[-1].azimuth_rad > again[0].azimuth_rad


def test_a_recorded_hang_up_hangs_up_again(mount_log: tuple[Path, list[AxisPosition]], clock: Lockstep) -> None:
    mount = gimbal(f"replay://{mount_log[0]}", clock)
    some_motion(mount, clock)
    with pytest.raises(WireError, match="as recorded"):
        mount.position()


def test_a_strict_replay_names_the_line_where_the_driver_parts_from_the_log(
    mount_log: tuple[Path, list[AxisPosition]], clock: Lockstep
) -> None:
    mount = gimbal(f"replay://{mount_log[0]}", clock)
    with pytest.raises(WireError, match=r"parts at line \d+.*was sent then") as parted:
        mount.set_rate(0.02, 0.0)
    number = int(str(parted.value).split(" at line ")[1].split(":")[0])
    entry = json.loads(mount_log[0].read_text().splitlines()[number - 1])
    assert entry["is"] == ">"
    assert entry["text"] == "z"  # a position was asked there


def test_a_lenient_replay_answers_what_it_has_heard_before_in_any_order(
    mount_log: tuple[Path, list[AxisPosition]], clock: Lockstep
) -> None:
    mount = gimbal(f"replay://{mount_log[0]}?lenient", clock)
    known = {(p.azimuth_rad, p.elevation_rad) for p in mount_log[1]}
    mount.set_rate(0.01, -0.005)
    for _ in range(20):  # more often than in the log
        position = mount.position()
        assert (position.azimuth_rad, position.elevation_rad) in known
    with pytest.raises(WireTimeout):
        mount.set_rate(0.03, 0.0)  # never sent then: silence


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "does not begin with the opening"),
        ('{"t_ns": 1, "is": ">", "text": "z"}\n', "does not begin with the opening"),
        ('{"t_ns": 1, "is": "open", "kind": "stream"}\nnonsense\n{"t_ns": 2, "is": "<"}\n', "line 2"),
        ('{"t_ns": 1, "is": "open", "kind": "usb"}\n', "is the log of a usb wire"),
    ],
)
def test_what_is_no_log_of_this_kind_of_wire_is_refused_with_the_reason(
    tmp_path: Path, clock: Lockstep, text: str, problem: str
) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(ResourceError, match=problem):
        gimbal(f"replay://{path}", clock)


@pytest.mark.parametrize(("query", "problem"), [("session=7", "sessions 1 to 1"), ("lenent", "no option 'lenent'")])
def test_a_wrong_option_of_a_replay_is_refused(
    mount_log: tuple[Path, list[AxisPosition]], clock: Lockstep, query: str, problem: str
) -> None:
    with pytest.raises(ResourceError, match=problem):
        gimbal(f"replay://{mount_log[0]}?{query}", clock)


def test_a_log_whose_last_line_was_cut_off_by_a_kill_is_played_up_to_there(
    mount_log: tuple[Path, list[AxisPosition]], clock: Lockstep
) -> None:
    whole = mount_log[0].read_bytes()
    mount_log[0].write_bytes(whole[:-20])
    assert gimbal(f"replay://{mount_log[0]}", clock).position().azimuth_rad == mount_log[1][0].azimuth_rad


def test_a_replayed_camera_gives_the_same_images(tmp_path: Path, clock: Lockstep) -> None:
    def frames(resource: str, time: Lockstep) -> list[Any]:
        camera = U3vCamera(resource, time)
        camera.configure(0.004, 50.0, Region(64, 32, 64, 64))
        camera.start()
        seen = [camera.read(1.0) for _ in range(5)]
        camera.stop()
        camera.close()
        return seen

    timeline = Timeline()
    time = Lockstep(timeline)
    device = emulated_u3v.U3vCamera(timeline, lambda t0_ns, t1_ns: [], np.random.default_rng(7))
    backend = MemoryUsbBackend(time)
    backend.plug("camera", device)
    register_backend("simusb", lambda location, _clock: backend.at(location))
    with wirelog.logging_to(tmp_path):
        seen = frames("simusb://camera", time)
    again = frames(f"replay://{tmp_path}/camera.wire.jsonl", clock)
    assert [frame.number for frame in again] == [frame.number for frame in seen]
    assert all((a.image == b.image).all() for a, b in zip(again, seen, strict=True))
    assert seen[0].image.std() > 0


class Light:
    def received_power_w(self) -> float:
        return 2e-6


@pytest.fixture
def meter_log(tmp_path: Path) -> tuple[Path, list[float]]:
    timeline = Timeline()
    time = Lockstep(timeline)
    device = emulated_pm100d.Pm100d(timeline, Light(), np.random.default_rng(3))
    usb = device.usb()
    backend = MemoryUsbBackend(time)
    backend.plug("power_meter", usb)
    with as_default_backend(backend), wirelog.logging_to(tmp_path):
        meter = Pm100d.open(f"visa://USB0::0x1313::0x8078::{usb.strings[3]}::INSTR", time)
        meter.configure(1550e-9)
        seen = [meter.power_w() for _ in range(3)]
        backend.unplug("power_meter")
        with pytest.raises(WireError):
            meter.power_w()
        meter.close()
    return tmp_path / "power_meter.wire.jsonl", seen


def test_a_replayed_power_meter_reads_the_same_and_is_lost_at_the_same_place(
    meter_log: tuple[Path, list[float]], clock: Lockstep
) -> None:
    meter = Pm100d.open(f"replay://{meter_log[0]}", clock)
    meter.configure(1550e-9)
    assert [meter.power_w() for _ in range(3)] == meter_log[1]
    with pytest.raises(WireError, match="as recorded"):
        meter.power_w()


def test_without_being_asked_nothing_is_logged(tmp_path: Path, clock: Lockstep) -> None:
    assert wirelog.log_of("gimbal", clock, resource="serial:///dev/null") is None
    with wirelog.logging_to(tmp_path):
        log = wirelog.log_of("gimbal", clock, resource="serial:///dev/null")
        assert log is not None
        log.close()
    assert wirelog.log_of("gimbal", clock, resource="serial:///dev/null") is None
