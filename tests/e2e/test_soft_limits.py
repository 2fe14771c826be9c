"""The elevation limits of a rig file hold on the way to every mount that is turned by rates."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from controller.cli.bench import open_bench
from controller.cli.demo import DEFAULT_RIG
from hal.clock import NS
from hal.rig import open_device


@pytest.mark.parametrize("driver", ["nexstar", "easycomm", "easycomm3", "skywatcher", "flir_ptu"])
def test_a_rate_stops_at_the_elevation_limit_of_the_rig(driver: str, tmp_path: Path, short_pass: Any) -> None:
    text = DEFAULT_RIG.with_name("rf-station.toml").read_text(encoding="utf-8")
    for old, new in (
        ('"rot2prog"', f'"{driver}"'),
        ("command_latency_s = 0.05 ", "command_latency_s = 0.1 "),  # a NexStar's, with what it varies
        ("baud = 600 ", "baud = 9600 "),
        ("elevation_max_deg = 90.0", "elevation_max_deg = 40.0"),
    ):
        assert old in text
        text = text.replace(old, new)
    rig = tmp_path / "rig.toml"
    rig.write_text(text, encoding="utf-8")
    target = short_pass.plan.target
    with open_bench(rig, target.elements, target.rise_utc_ns) as bench:
        clock = bench.lockstep
        gimbal = open_device(bench.rig, "gimbal", clock)
        while clock.now_ns() < 15 * NS:
            gimbal.position()  # as a loop does
            gimbal.set_rate(0.0, math.radians(3.0))
            clock.sleep_until(clock.now_ns() + NS // 50)
        assert math.degrees(gimbal.position().elevation_rad) == pytest.approx(40.0, abs=0.15)
        gimbal.close()
