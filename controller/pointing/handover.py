"""A way through a constellation: which satellite after which, each taken before the one before it is left.

Of all sequences that keep the overlap the one with the fewest handovers: at every handover the pass that lasts longest
is taken (covering an interval with intervals, where the greedy choice is optimal). Two beams take turns; a terminal
with one beam breaks for as long as its slew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.geometry.timescales import Floats
from controller.pointing.circumstances import Circumstances
from controller.pointing.constellation import PassTable
from controller.pointing.take_now import WORTH_NS


@dataclass(frozen=True, slots=True)
class Turn:
    """One satellite's part: row of the table, UTC nanoseconds."""

    row: int
    take_utc_ns: int
    leave_utc_ns: int
    overlap_ns: int  # with the one before it; negative: a gap in which nothing is up. 0 for the first

    @property
    def made_before_broken(self) -> bool:
        """Whether the one before was still up when this one was taken."""
        return self.overlap_ns >= 0


def sequence(
    table: PassTable,
    seen: Circumstances,
    start_utc_ns: int,
    end_utc_ns: int,
    overlap_ns: int,
    azimuth_rate_max_rad_s: Floats | float,
) -> list[Turn]:
    """Turns from `start_utc_ns` until `end_utc_ns`, or until nothing rises any more; empty when nothing does at all.

    Where no pass keeps the overlap the one that comes nearest to it is taken. Passes whose azimuth would turn faster
    than `azimuth_rate_max_rad_s`, one for all or one a pass, are left out, and so is less than a minute of a pass.
    """
    rise, fall = table.rise_utc_ns, table.set_utc_ns
    flown = seen.azimuth_rate_max_rad_s <= azimuth_rate_max_rad_s
    turns: list[Turn] = []
    wanted_utc_ns, left_utc_ns = start_utc_ns, start_utc_ns
    while left_utc_ns < end_utc_ns:
        rows = np.nonzero(flown & (fall - np.maximum(rise, left_utc_ns) >= WORTH_NS))[0]
        first_utc_ns = int(rise[rows].min(initial=end_utc_ns))
        if first_utc_ns >= end_utc_ns:
            break
        in_time = rows[rise[rows] <= max(wanted_utc_ns, first_utc_ns)]
        row = int(in_time[np.argmax(fall[in_time])])
        take_utc_ns = max(wanted_utc_ns, int(rise[row]))
        turns.append(Turn(row, take_utc_ns, int(fall[row]), left_utc_ns - take_utc_ns if turns else 0))
        left_utc_ns = int(fall[row])
        wanted_utc_ns = max(left_utc_ns - overlap_ns, take_utc_ns)
    return turns
