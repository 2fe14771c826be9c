"""Every example runs; examples/bus_client.py is tried against a station in tests/docs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from controller.cli.connect import DEFAULT_RIG

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_planned_pass_rises_peaks_and_sets() -> None:
    told = run("plan_a_pass.py")
    assert told.returncode == 0, told.stderr
    head, *times, rate = told.stdout.splitlines()
    assert "peaks at" in head
    assert [line.split()[0] for line in times] == ["rise", "peak", "set"]
    ranges_km = [float(line.split()[-2]) for line in times]
    assert ranges_km[1] < min(ranges_km[0], ranges_km[2])
    assert float(rate.split()[2]) <= 0.8 * 3.0  # what a plan may use of the mount


def test_it_takes_a_rig_file(tmp_path: Path) -> None:
    file = tmp_path / "slow.toml"
    file.write_text(DEFAULT_RIG.read_text().replace("rate_max_deg_s = 3.0", "rate_max_deg_s = 1.0"))
    told = run("plan_a_pass.py", str(file))
    assert told.returncode == 0, told.stderr
    assert "of 1 deg/s" in told.stdout
    assert float(told.stdout.split()[-4]) <= 0.8


def test_no_example_is_untested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"bus_client.py", "plan_a_pass.py"}
