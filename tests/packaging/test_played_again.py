"""The rule of tests/conftest.py, tried on tests made for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
# Adding up a long range is one call that lets no other thread run, as when the machine is taken away.
MADE = """
import subprocess
from pathlib import Path

plays = []

def standstill():
    sum(range(15_000_000))

def test_passes_when_played_again():
    plays.append("again")
    standstill()
    assert plays.count("again") == 2, "late"

def test_finds_what_its_first_play_left_ended():
    if "left" not in plays:
        process = subprocess.Popen(["sleep", "60"])
        plays.extend(["left", process.pid])
        standstill()
        raise RuntimeError("late")
    assert not Path(f"/proc/{plays[plays.index('left') + 1]}").exists()

def test_fails_each_time():
    plays.append("each")
    standstill()
    assert plays.count("each") > 3

def test_fails_on_a_machine_that_runs():
    plays.append("once")
    assert plays.count("once") == 2

def test_counts():
    assert (plays.count("each"), plays.count("once")) == (3, 1)
"""


def test_only_what_failed_while_its_process_stood_still_is_played_again_and_the_summary_tells(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (tmp_path / "test_made.py").write_text(MADE)
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            tmp_path,
            tmp_path,
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (TESTS / "support", TESTS.parent)))},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "2 failed, 3 passed" in ran.stdout, ran.stdout
    summary = ran.stdout.partition("played again, as the machine stood still")[2]
    assert "test_passes_when_played_again: stood still for" in summary
    assert summary.count("test_fails_each_time: stood still for") == 2
