from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from controller.tracking.commission import Commission
from controller.tracking.fine import finish
from hal.errors import DeviceError


def run(bench: Any, steps: Any) -> None:
    """As the tracking service does it: a heartbeat between any two steps."""
    bench.board.heartbeat(True)
    finish(steps, lambda: (bench.board.heartbeat(True), bench.sleep_until(bench.now_ns() + 10_000_000)))


def test_commissioning_takes_an_unknown_mirror_to_measured_margins(fine_bench: Callable[..., Any]) -> None:
    bench, commission = fine_bench(3), Commission()
    run(bench, commission.dark(bench.board))
    assert commission.told() == "mirror identified, loop designed"
    assert not commission.done
    assert commission.to_mirror((1e-5, 0.0)) == (1e-5, 0.0)  # nothing is known of its frame
    run(bench, commission.light(bench.board))
    assert commission.done
    assert min(m.gain_db for m in commission.margins) >= 6.0
    assert min(m.phase_deg for m in commission.margins) >= 35.0
    assert "measured margins" in commission.told()
    assert bench.board.heartbeat(True).mode == "setpoint"  # closing is the station's word
    sky = commission.to_sky(commission.to_mirror((2e-5, -3e-5)))
    assert sky == pytest.approx((2e-5, -3e-5))
    true = bench.plant.mirror_to_sky @ np.array(commission.to_mirror((1e-5, 0.0)))
    assert true == pytest.approx([1e-5, 0.0], abs=0.06e-5)


def test_without_light_nothing_is_closed(fine_bench: Callable[..., Any]) -> None:
    bench, commission = fine_bench(4), Commission()
    bench.power[:] = 0.0
    run(bench, commission.dark(bench.board))
    with pytest.raises(DeviceError):
        run(bench, commission.light(bench.board))
    assert not commission.done
    assert bench.board.heartbeat(True).mode == "setpoint"


def test_thin_margins_are_refused(fine_bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.tracking.commission.GAIN_MARGIN_MIN_DB", 30.0)
    bench, commission = fine_bench(5), Commission()
    run(bench, commission.dark(bench.board))
    with pytest.raises(DeviceError, match=r"30 dB and 35 .*are needed"):
        run(bench, commission.light(bench.board))
    assert not commission.done
