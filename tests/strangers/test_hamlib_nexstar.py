"""Hamlib's own NexStar client (model 1401) drives the emulated mount over its pty."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.stranger


@pytest.fixture
def rotctl(mount: Any, program: Callable[[str, str], str]) -> Callable[..., list[str]]:
    path = program("rotctl", "libhamlib-utils")

    def run(*commands: str) -> list[str]:
        done = subprocess.run(
            [path, "-m", "1401", "-r", mount.port.path, *commands], capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return run


def test_rotctl_reads_moves_and_stops_the_mount(mount: Any, rotctl: Callable[..., list[str]]) -> None:
    # the nearest 16-bit angles: 7E94/10000 of a turn = 178.0005, 1F4A/10000 = 43.9998
    assert rotctl("p", "P", "180.5", "45.25", "p", "S", "_")[:2] == ["178.00", "44.00"]


def test_a_goto_of_rotctl_arrives_to_the_16_bit_step(mount: Any, rotctl: Callable[..., list[str]]) -> None:
    assert rotctl("P", "180.5", "45.25") == []
    assert mount.wait_until(lambda: mount.rate[0] > 0, seconds=2)

    def arrived() -> bool:
        # the protocol's 16 bits: 180.5 degrees goes out as 805A, 45.25 as 202D (Hamlib scales by 65535)
        return rotctl("p") == ["180.49", "45.25"]

    assert mount.wait_until(arrived, seconds=20)
    assert mount.wait_until(lambda: mount.rate == [0, 0], seconds=2)


def test_rotctl_stops_a_goto_on_its_way(mount: Any, rotctl: Callable[..., list[str]]) -> None:
    rotctl("P", "10", "80")
    assert mount.wait_until(lambda: mount.rate[0] < 0, seconds=2)
    rotctl("S")

    assert mount.wait_until(lambda: mount.rate == [0, 0], seconds=1)
    assert float(rotctl("p")[0]) > 150


def test_rotctl_is_told_when_nobody_answers(mount: Any, program: Callable[[str, str], str]) -> None:
    mount.line.spoil = lambda data: b""
    done = subprocess.run(
        [program("rotctl", "libhamlib-utils"), "-m", "1401", "-r", mount.port.path, "-C", "timeout=200,retry=0", "p"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode != 0
    assert "timed out" in (done.stdout + done.stderr)
