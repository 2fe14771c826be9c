"""Every suite on every emulator, through the real drivers and libraries, in lockstep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli.bench import Bench, open_bench
from controller.cli.demo import DEFAULT_RIG, choose_pass
from controller.cli.rig import emulated_devices
from controller.services.lockstep import Lockstep
from hal.conformance import SUITES, Report, Terms, run_suite
from hal.drivers import drivers_of
from hal.rig import DEVICES, OPTIONAL, load_rig, open_device
from hal.wires import wirelog
from sim_hw.timeline import Timeline

# A star camera is the tracking camera's driver and emulator once more, with another lens.
KINDS = [device for device in (*DEVICES, *OPTIONAL) if device != "star_camera"]
MORE = """
[shutter]
driver = "sc10"
resource = "emulated"

[stage]
driver = "zaber"
resource = "emulated"
travel_min_mm = 1.0
travel_max_mm = 49.0
resolution_mm = 47.625e-6
speed_max_mm_s = 8.0

[mirror]
driver = "gcs2_mirror"
resource = "emulated"
reach_urad = 900.0
resolution_urad = 0.5
settling_s = 0.02
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """The built-in rig, a shutter, a stage and a mirror."""
    path = tmp_path / "bench.toml"
    path.write_text(DEFAULT_RIG.read_text(encoding="utf-8") + MORE, encoding="utf-8")
    rig = load_rig(path, dict.fromkeys(emulated_devices(path), ""))
    target = choose_pass(rig, None, "", above_limits=False).target
    with open_bench(path, target.elements, target.rise_utc_ns - 60_000_000_000) as bench:
        yield bench


def verify(bench: Bench, device: str, terms: Terms | None = None) -> Report:
    assert bench.lockstep is not None
    clock = bench.lockstep
    return run_suite(device, SUITES[device], lambda: open_device(bench.rig, device, clock), clock, terms)


def failures(report: Report) -> list[str]:
    return [f"{finding.sentence}: {finding.detail}" for finding in report.findings if finding.verdict == "fail"]


@pytest.mark.parametrize("device", KINDS)
@pytest.mark.parametrize("speed", [0.1, 1.0])
def test_the_emulator_does_what_its_trait_says(bench: Bench, device: str, speed: float) -> None:
    report = verify(bench, device, Terms(speed=speed))
    assert failures(report) == []
    assert [finding for finding in report.findings if finding.verdict == "pass"]
    assert report.timing()


@pytest.mark.parametrize("driver", [name for name in drivers_of("gimbal") if name != "nexstar"])
def test_every_gimbal_that_a_rig_can_name_stands_on_the_bench(driver: str, tmp_path: Path) -> None:
    rig_path = tmp_path / "rig.toml"
    text = DEFAULT_RIG.read_text(encoding="utf-8")
    rig_path.write_text(text.replace('driver = "nexstar"', f'driver = "{driver}"'), encoding="utf-8")
    rig = load_rig(rig_path, dict.fromkeys(emulated_devices(rig_path), ""))
    target = choose_pass(rig, None, "", above_limits=False).target
    with open_bench(rig_path, target.elements, target.rise_utc_ns - 60_000_000_000) as bench:
        assert failures(verify(bench, "gimbal", Terms(speed=1.0))) == []


@pytest.mark.parametrize("device", KINDS)
def test_the_replay_of_a_verification_verifies(bench: Bench, device: str, tmp_path: Path) -> None:
    with wirelog.logging_to(tmp_path):
        seen = verify(bench, device)
    resource = f"replay://{tmp_path}/{device}.wire.jsonl"
    text = bench.rig.path.read_text(encoding="utf-8")
    others = {other: address for other, address in bench.addresses.items() if other != device}
    section = text.index(f"\n[{device}]")
    changed = tmp_path / "rig.toml"
    changed.write_text(text[:section] + text[section:].replace('resource = "emulated"', f'resource = "{resource}"', 1))
    rig = load_rig(changed, others)
    clock = Lockstep(Timeline())
    again = run_suite(device, SUITES[device], lambda: open_device(rig, device, clock), clock)
    assert failures(again) == []
    assert [finding.verdict for finding in again.findings] == [finding.verdict for finding in seen.findings]
    assert again.measured == pytest.approx(seen.measured, rel=0.02, abs=1e-6)
