"""Commands a second: our driver and Hamlib's backend, in turns, on one emulator, on a pty without pacing.

Not over TCP: Hamlib leaves Nagle's algorithm on, which costs it 48 ms where a command that is not answered is followed
by a question.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

from benchmarks.devices.families import FAMILIES, Family, served
from benchmarks.devices.hamlib import Hamlib
from hal.clock import NS, RealClock

SECONDS = 1.0
ROUNDS = 2
FEWEST = 2
DEG = math.radians(1.0)
PLACES = ((176.0, 44.0), (184.0, 46.0))  # to and fro, both a step of every family


class CountingClock(RealClock):
    """Adds up what a driver sleeps."""

    slept_ns = 0

    def sleep_until(self, t_ns: int) -> None:
        """Sleep, and remember for how long."""
        began_ns = self.now_ns()
        super().sleep_until(t_ns)
        self.slept_ns += self.now_ns() - began_ns


def a_second(call: Callable[[], object]) -> float:
    """How often `call` goes in a second, of about SECONDS and FEWEST calls at least."""
    clock, count = RealClock(), 0
    began_ns = now_ns = clock.now_ns()
    while count < FEWEST or now_ns - began_ns < SECONDS * NS:
        call()
        count += 1
        now_ns = clock.now_ns()
    return count * NS / (now_ns - began_ns)


def measure(name: str) -> dict[str, Any]:
    """Reads, and moves with a read, a second; the best of the rounds, since whatever else the machine does only takes.

    A move alone is not answered by every protocol: the read after it shows that it was heard.
    """
    family = FAMILIES[name]
    found = {"ours": {"reads": 0.0, "moves": 0.0}, "hamlib": {"reads": 0.0, "moves": 0.0}}
    slept_ns = 0
    for _ in range(ROUNDS):
        with served(name) as where, _ours(family, where) as (calls, clock):
            _better(found["ours"], calls)
            slept_ns += clock.slept_ns
        with served(name) as where, _hamlibs(family, where) as calls:
            _better(found["hamlib"], calls)
    ratio = {what: found["ours"][what] / found["hamlib"][what] for what in ("reads", "moves")}
    return {**found, "ratio": ratio, "ours_slept_s": slept_ns / NS}


def _better(best: dict[str, float], calls: dict[str, Callable[[], object]]) -> None:
    for what, call in calls.items():
        best[what] = max(best[what], a_second(call))


@contextmanager
def _ours(family: Family, where: str) -> Iterator[tuple[dict[str, Callable[[], object]], CountingClock]]:
    clock = CountingClock()
    gimbal = family.open(f"{'serial' if where.startswith('/') else 'tcp'}://{where}", clock)
    places, rates = cycle(PLACES), cycle((1.0, -1.0))

    def move() -> None:
        if "position" in gimbal.capabilities.takes:
            azimuth, elevation = next(places)
            gimbal.go_to(azimuth * DEG, elevation * DEG * family.elevation)
        else:
            rate = next(rates) * DEG
            gimbal.set_rate(rate, rate)
        gimbal.position()

    try:
        yield {"reads": gimbal.position, "moves": move}, clock
    finally:
        gimbal.stop()
        gimbal.close()


@contextmanager
def _hamlibs(family: Family, where: str) -> Iterator[dict[str, Callable[[], object]]]:
    if family.model is None:
        raise ValueError(f"{family.driver} has no backend in Debian's Hamlib")
    rotator, places = Hamlib(family.model, where), cycle(PLACES)

    def move() -> None:
        azimuth, elevation = next(places)
        rotator.go_to(azimuth, elevation * family.elevation)
        rotator.position_deg()

    try:
        yield {"reads": rotator.position_deg, "moves": move}
    finally:
        rotator.close()
