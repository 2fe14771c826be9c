"""How long this process was kept from running: a thread that wakes often tells how late it woke.

Real wires have time-outs in real time. Where other work takes the machine from both the driver and the emulator, an
answer is late that no device would have sent late; a test that fails just then has not been judged.
"""

from __future__ import annotations

import threading

from hal.clock import NS, RealClock

WAKES_EVERY_S = 0.01
LATE_S = 0.03  # less is a scheduler at work, and no time-out of a wire is that short


class StandstillMeter:
    """Counts seconds from its making; `close` ends its thread."""

    def __init__(self) -> None:
        self.stood_still_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="standstill-meter", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        clock = RealClock()
        last_ns = clock.now_ns()
        while not self._ended.wait(WAKES_EVERY_S):
            now_ns = clock.now_ns()
            late_s = (now_ns - last_ns) / NS - WAKES_EVERY_S
            if late_s > LATE_S:
                self.stood_still_s += late_s
            last_ns = now_ns
