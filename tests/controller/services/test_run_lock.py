"""Two stations do not share a run directory, and a killed one leaves it to the next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from controller.services.run_lock import RunDirTakenError, run_lock

HOLD = """
import sys
from pathlib import Path
from controller.services.run_lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_station_in_a_run_directory_is_refused_until_the_first_has_ended_however(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdout is not None
    assert first.stdin is not None
    assert first.stdout.readline() == b"held\n"
    with pytest.raises(RunDirTakenError, match="Another station runs in"), run_lock(folder):
        pass
    with run_lock(tmp_path / "another"):
        pass
    first.kill()
    first.wait(10)
    first.stdout.close()
    first.stdin.close()
    with run_lock(folder):
        pass
