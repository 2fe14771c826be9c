"""The kernel's own word on how well it knows UTC."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.safety.inputs import Reading
from controller.safety.timesync import bench_time, kernel_time
from controller.safety.votes import VOTERS
from hal import kernel_time as kernel
from hal.kernel_time import KernelTime


def test_the_kernel_says_whether_its_clock_is_synchronised() -> None:
    quality = kernel_time()
    assert quality is not None  # Linux
    assert 0.0 <= quality.error_s < 1e4
    assert isinstance(quality.synchronised, bool)


def test_a_bench_shares_one_clock_with_its_world() -> None:
    assert bench_time().synchronised
    assert bench_time().error_s == 0.0


@pytest.mark.parametrize(
    ("error_max_s", "error_s", "ok"),
    [
        (0.01, 0.00004, True),  # a daemon spoke just now
        (0.4, 0.00082, True),
        (0.495, 0.00101, False),  # a quarter of an hour ago
        (5.0, 0.01002, False),
        (15.9, 0.03182, False),  # the most that the kernel lets it grow to while it calls the clock synchronised
    ],
)
def test_a_clock_that_its_daemon_has_left_is_known_the_worse_the_longer_it_is_alone(
    good: Any, monkeypatch: pytest.MonkeyPatch, error_max_s: float, error_s: float, ok: bool
) -> None:
    monkeypatch.setattr(kernel, "kernel_time", lambda: KernelTime(True, 2e-5, error_max_s))
    quality = kernel_time()
    assert quality is not None
    assert quality.error_s == pytest.approx(error_s)
    inputs = replace(good.inputs(), time=Reading(quality, 0.1, False))
    assert VOTERS["time"](inputs, good.limits).ok is ok
