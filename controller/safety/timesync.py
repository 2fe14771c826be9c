"""How well this computer knows UTC, as the safety service asks for it."""

from __future__ import annotations

from controller.safety.inputs import TimeQuality
from hal import kernel_time as kernel

WANDER = 1e-6  # of a computer's crystal left to itself: what ten degrees of its temperature do
GROWTH = 500e-6  # of the kernel's maximum error, for each second that no daemon sets it (MAXFREQ in linux/timex.h)


def kernel_time() -> TimeQuality | None:
    """The kernel's own estimate, and what the clock may have wandered since it was made; None where there is none.

    The estimate stands for ever when the daemon that made it dies; the maximum error alone grows. So the clock has been
    left alone for no longer than that error has taken to grow, and has wandered no further than `WANDER` in this time.
    """
    told = kernel.kernel_time()
    if told is None:
        return None
    alone_s = told.error_max_s / GROWTH
    return TimeQuality(told.synchronised, told.error_s + WANDER * alone_s)


def bench_time() -> TimeQuality:
    """For a bench: controller and emulated world read the same clock."""
    return TimeQuality(True, 0.0)
