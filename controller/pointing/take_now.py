"""Which satellite to take now."""

from __future__ import annotations

import numpy as np

from controller.geometry.timescales import Floats
from controller.pointing.circumstances import Circumstances
from controller.pointing.constellation import Indices, PassTable

NS = 1_000_000_000
WAIT_MAX_NS = 600 * NS  # a rise further away than this is not now
WORTH_NS = 60 * NS  # what is left of a pass must pay for slewing and acquisition


def take_now(table: PassTable, seen: Circumstances, t_utc_ns: int, azimuth_rate_max_rad_s: Floats | float) -> Indices:
    """Rows of passes that are up, or rise within ten minutes, and have a minute left; the best first.

    Best is what can be tracked for longest, less the wait for its rise. Passes whose azimuth would turn faster than
    `azimuth_rate_max_rad_s`, one for all or one a pass, are left out.
    """
    begin = np.maximum(table.rise_utc_ns, t_utc_ns)
    left = table.set_utc_ns - begin
    fits = (begin - t_utc_ns <= WAIT_MAX_NS) & (left >= WORTH_NS)
    rows = np.nonzero(fits & (seen.azimuth_rate_max_rad_s <= azimuth_rate_max_rad_s))[0]
    order = np.argsort(-(left - (begin - t_utc_ns))[rows], kind="stable")
    return rows[order]
