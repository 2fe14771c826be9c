"""How well this computer knows UTC, as the safety service asks for it."""

from __future__ import annotations

from controller.safety.inputs import TimeQuality
from hal import kernel_time as kernel
from hal.clock import NS, Clock

STEP_NS = NS // 1000  # 13.8 µrad at the 0.79 deg/s of a 550 km pass overhead
SLEW = 1e-3  # twice what the kernel's discipline turns a clock by
UNSURE_NS = NS // 10_000


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


class UtcWatch:
    """Notices that UTC was set, or repeated a leap second: it goes on by itself as monotonic time does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: tuple[int, int] | None = None  # monotonic, and UTC minus it

    def stepped_ns(self) -> int:
        """By how much UTC was stepped since the previous call; 0 when it was not, or when nobody can say."""
        before_ns, utc_ns, after_ns = self._clock.now_ns(), self._clock.utc_ns(), self._clock.now_ns()
        if after_ns - before_ns > UNSURE_NS:
            return 0  # held up between the two: asked again next time
        seen, self._seen = self._seen, (before_ns, utc_ns - before_ns)
        if seen is None:
            return 0
        moved_ns = self._seen[1] - seen[1]
        return moved_ns if abs(moved_ns) > STEP_NS + SLEW * (before_ns - seen[0]) else 0
