"""A satellite at 8000 km near its culmination: elevation moves less in a second than the backlash is wide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import benchmarks.soak
from controller.cli.demo import DEFAULT_RIG, choose_pass
from controller.cli.rig import emulated_devices
from hal.clock import NS
from hal.rig import load_rig

if TYPE_CHECKING:
    from tests.e2e.conftest import ShortPass

ELEMENTS = Path(benchmarks.soak.__file__).with_name("high.tle")
LIGHT = {"reference_range_m": 9.5e6, "downlink_divergence_urad": 10.0}  # a narrower downlink from ten times as far
LADDER = ["SLEW", "POINT", "ACQUIRE", "COARSE", "FINE", "LINK", "STOWED"]


@pytest.mark.parametrize("after_s", [-60.0, 40.0, 250.0])
def test_a_target_that_hardly_moves_is_handed_over_as_soon_as_one_that_does(
    after_s: float, short_pass: ShortPass
) -> None:
    """It once was lost from the camera again and again: the encoder's way through its play was taken for the axis's."""
    rig = load_rig(DEFAULT_RIG, dict.fromkeys(emulated_devices(DEFAULT_RIG), ""))
    plan = choose_pass(rig, ELEMENTS, "O3B FM14", above_limits=False)
    begin_ns = plan.target.culmination_utc_ns + round(after_s * NS)
    short_pass.plan = replace(plan, target=replace(plan.target, rise_utc_ns=begin_ns))
    flown = short_pass(30.0, link=LIGHT)
    assert [name for name, _ in flown.modes if name in LADDER][-len(LADDER) :] == LADDER
    began_ns = dict(flown.modes)
    assert (began_ns["LINK"] - began_ns["COARSE"]) / NS < 10.0
