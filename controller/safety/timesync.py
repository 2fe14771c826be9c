"""How well this computer knows UTC, as the safety service asks for it."""

from __future__ import annotations

from controller.safety.inputs import TimeQuality
from hal import kernel_time as kernel


def kernel_time() -> TimeQuality | None:
    """The kernel's own estimate; None where there is none."""
    told = kernel.kernel_time()
    return None if told is None else TimeQuality(told.synchronised, told.error_s)


def bench_time() -> TimeQuality:
    """For a bench: controller and emulated world read the same clock."""
    return TimeQuality(True, 0.0)
