"""Whether UTC was set: whoever reckons with it across a moment must know."""

from __future__ import annotations

from hal.clock import NS, Clock

STEP_NS = NS // 1000  # 13.8 µrad at the 0.79 deg/s of a 550 km pass overhead
SLEW = 1e-3  # twice what the kernel's discipline turns a clock by
UNSURE_NS = NS // 10_000


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
