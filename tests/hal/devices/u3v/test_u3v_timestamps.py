"""The camera's clock in the host's, against clocks whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from hal.devices.u3v.timestamps import ClockMap

NS = 1_000_000_000
OFFSET_NS = 900 * NS


def latched(drift: float, seconds: int, seed: int = 1, ns_per_tick: int = 1) -> tuple[ClockMap, int]:
    """A map after a latch every two seconds, and the host's time of the last one."""
    rng, clocks, host_ns = np.random.default_rng(seed), ClockMap(ns_per_tick), 0
    for host_ns in range(0, seconds * NS, 2 * NS):
        there_ns, back_ns = (int(75_000 + rng.exponential(15_000)) for _ in range(2))
        camera_ns = round((host_ns + there_ns) * (1 + drift)) + OFFSET_NS
        clocks.add(host_ns, camera_ns // ns_per_tick, host_ns + there_ns + back_ns)
    return clocks, host_ns


@pytest.mark.parametrize("drift", [-50e-6, 0.0, 20e-6])
def test_a_drifting_clock_is_followed_to_some_microseconds(drift: float) -> None:
    clocks, last_ns = latched(drift, 120)
    then_ns = last_ns + 2 * NS
    told_ns = clocks.host_ns(round(then_ns * (1 + drift)) + OFFSET_NS)
    assert abs(told_ns - then_ns) < 20_000
    assert clocks.drift == pytest.approx(-drift, abs=0.5e-6)


def test_ticks_of_another_length_are_converted() -> None:
    clocks, last_ns = latched(0.0, 60, ns_per_tick=8)
    assert abs(clocks.host_ns((last_ns + OFFSET_NS) // 8) - last_ns) < 20_000


def test_a_slow_round_trip_spoils_nothing() -> None:
    clocks, last_ns = latched(0.0, 60)
    before_ns = last_ns + NS
    clocks.add(before_ns, before_ns + 40_000_000 + OFFSET_NS, before_ns + 41_000_000)  # 40 ms out, 1 ms back
    assert abs(clocks.host_ns(before_ns + OFFSET_NS) - before_ns) < 20_000


def test_one_latch_is_enough_to_begin_with() -> None:
    clocks = ClockMap()
    clocks.add(1_000, 5_000_000, 3_000)
    assert clocks.host_ns(5_000_100) == 2_100
    assert clocks.drift == 0.0
