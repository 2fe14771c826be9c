"""What goes wrong and when, drawn from a seed: words of the fault table, deaths of services, an operator's stop."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from hal.rig import DEVICES
from sim_hw.faults.table import TABLE

NS = 1_000_000_000
DURATION_S = (0.5, 20.0)  # of a fault, evenly on a logarithmic scale
MORTALS = ("safety", "station", "pointing", "tracking", "link")


@dataclass(frozen=True, slots=True)
class Happening:
    """`device` and `word` of a fault, or `kill` of a service, or neither: the operator says stop."""

    t_ns: int
    device: str = ""
    word: str = ""
    for_s: float = 0.0
    kill: str = ""

    @property
    def what(self) -> str:
        if self.kill:
            return f"death of {self.kill}"
        return f"{self.device} {self.word} for {self.for_s:.1f} s" if self.word else "the operator says stop"


@dataclass(frozen=True, slots=True)
class Odds:
    """How often: chances of a pass, and of the time until the next one."""

    first: float = 0.8  # a fault in a pass
    second: float = 0.3  # another one
    between: float = 0.6  # a fault between two passes
    death: float = 0.12  # of a service in a pass
    stop: float = 0.08  # by the operator in a pass


def draw(
    seed: int, windows: Sequence[tuple[int, int]], end_ns: int, odds: Odds, mortals: Sequence[str] = MORTALS
) -> list[Happening]:
    """What happens in passes, each from the first to the second time, and between them, in order of time."""
    rng = random.Random(seed)
    pairs = [(device, word.name) for word in TABLE.values() for device in DEVICES if word.applies_to(device)]
    rng.shuffle(pairs)
    happenings: list[Happening] = []
    turn = 0

    def fault(begin_ns: int, until_ns: int) -> None:
        nonlocal turn
        device, word = pairs[turn % len(pairs)]
        turn += 1
        low, high = map(math.log, DURATION_S)
        t_ns = rng.randint(begin_ns, max(begin_ns, until_ns))
        happenings.append(Happening(t_ns, device, word, math.exp(rng.uniform(low, high))))

    for (begin_ns, until_ns), (next_ns, _) in zip(windows, [*windows[1:], (end_ns, 0)], strict=True):
        for chance in (odds.first, odds.second):
            if rng.random() < chance:
                fault(begin_ns, until_ns)
        if mortals and rng.random() < odds.death:
            happenings.append(Happening(rng.randint(begin_ns, until_ns), kill=rng.choice(list(mortals))))
        if rng.random() < odds.stop:
            happenings.append(Happening(rng.randint(begin_ns, until_ns)))
        if rng.random() < odds.between:
            fault(until_ns, next_ns)
    return sorted(happenings, key=lambda happening: happening.t_ns)
