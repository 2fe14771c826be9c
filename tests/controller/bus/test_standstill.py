"""A reader that stands still behind a full queue, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import standstill


def test_a_reader_that_stood_still_with_a_full_queue_goes_on(free_base_port: Callable[[int], int]) -> None:
    # With ZMTP heartbeats it was cut off, and libzmq aborted it as it went on: libzmq issues 3937 and 4767.
    program = [sys.executable, standstill.__file__, str(free_base_port(4))]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    newest, lost = ended.stdout.split()
    assert int(newest) == standstill.LAST
    assert int(lost) > 0
