"""What a wire can do to a running station, beyond the words of the fault table (tests/faults): beam and axes safe.

In lockstep, on a pass that is in LINK when the fault comes. A cut or silent gimbal line is noticed by the age of
pointing's state (0.5 s); the beam board by its own watchdog (0.25 s); what hangs up is noticed at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from controller.cli.bench import Bench
from controller.cli.flown import Flown
from hal.clock import NS

if TYPE_CHECKING:
    from tests.e2e.conftest import ShortPass

FAULT_S = 22.0  # after the rise
ARC_S = 32.0
STALE_S, WATCHDOG_S, TURN_S = 0.5, 0.25, 0.1

Break = Callable[[Bench], None]


def hang_up(device: str) -> Break:
    return lambda bench: bench.lines[device].hang_up()


def spoil(device: str, change: Callable[[bytes], bytes]) -> Break:
    def apply(bench: Bench) -> None:
        bench.lines[device].spoil = change

    return apply


def unplug(device: str) -> Break:
    return lambda bench: bench.usb.unplug(device)


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def emission_ended_ns(flown: Flown) -> int:
    """When light left the telescope for the last time."""
    rows = flown.bench.world.log.rows()
    return int(rows.t_ns[rows.emitting].max(initial=0))


CASES = [
    ("gimbal half a frame", spoil("gimbal", half), "SAFE", STALE_S + TURN_S),
    ("beam board half a frame", spoil("beam_board", half), "SAFE", WATCHDOG_S),
]


@pytest.mark.parametrize(("fault", "mode", "off_s"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_a_fault_of_a_wire_ends_emission_and_the_pass_in_the_mode_of_the_table(
    short_pass: ShortPass, fault: Break, mode: str, off_s: float
) -> None:
    fault_ns = short_pass.rise_ns + round(FAULT_S * NS)
    flown = short_pass(ARC_S, fault, fault_ns)
    before = [name for name, t_ns in flown.modes if t_ns < fault_ns]
    assert before[-1] == "LINK", f"the station was not in LINK when the fault came: {flown.modes}"
    assert [name for name, t_ns in flown.modes if t_ns >= fault_ns] == [mode], "it ends there, and nothing resumes"
    assert fault_ns < emission_ended_ns(flown) + NS // 1000
    assert emission_ended_ns(flown) <= fault_ns + off_s * NS


def test_a_lost_power_meter_ends_the_link_and_nothing_else(short_pass: ShortPass) -> None:
    fault_ns = short_pass.rise_ns + round(FAULT_S * NS)
    flown = short_pass(ARC_S, unplug("power_meter"), fault_ns)
    assert [name for name, t_ns in flown.modes if t_ns > fault_ns] == ["FINE", "STOWED"]
    assert emission_ended_ns(flown) > fault_ns + 5 * NS


def test_a_cut_gimbal_line_leaves_the_mount_at_its_last_rate_and_the_rig_says_so(short_pass: ShortPass) -> None:
    """The reason why a rig names a motion cut-off: nothing that is left on the wire could stop this mount."""
    flown = short_pass(ARC_S, hang_up("gimbal"), short_pass.rise_ns + round(FAULT_S * NS))
    gimbal = flown.bench.world.gimbal
    before = gimbal.motor_rad()
    flown.bench.world.advance(flown.bench.world.now_ns + NS)
    after = gimbal.motor_rad()
    assert max(abs(b - a) for a, b in zip(before, after, strict=True)) > 1e-4
    assert "motion cut-off" in flown.bench.rig.driver("gimbal").stopped_by.cable
