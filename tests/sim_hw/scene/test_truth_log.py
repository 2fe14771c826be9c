"""The truth log of a bench that runs for hours: what it keeps, and that what it keeps is what it was."""

from __future__ import annotations

import numpy as np

from sim_hw.scene.truth_log import MS_NS, TruthLog


def _fill(log: TruthLog, rows: int) -> None:
    for number in range(0, rows, 10):
        block, row = log.room()
        block[row : row + 10] = np.arange(number, number + 10, dtype=np.float32)[:, None]
        log.count += 10


def test_a_log_that_keeps_a_minute_stays_small_and_its_times_stay_true() -> None:
    everything, minute = TruthLog(), TruthLog()
    minute.keep_s = 60.0
    for log in (everything, minute):
        _fill(log, 250_000)
    kept, all_rows = minute.rows(), everything.rows()
    assert 60_000 <= len(kept.t_ns) <= 120_000
    assert len(minute._blocks) == 2
    assert np.array_equal(kept.t_ns, all_rows.t_ns[-len(kept.t_ns) :])
    assert np.array_equal(kept.values, all_rows.values[-len(kept.t_ns) :])
    assert np.array_equal(minute.last, everything.last)
    window = [(240_000 * MS_NS, 240_005 * MS_NS)]
    assert np.array_equal(minute.rows(window).values, everything.rows(window).values)


def test_a_log_that_keeps_everything_forgets_nothing() -> None:
    log = TruthLog()
    _fill(log, 130_000)
    assert len(log.rows().t_ns) == 130_000
    assert log.rows().t_ns[0] == MS_NS
