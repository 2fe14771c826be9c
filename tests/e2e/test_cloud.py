"""A cloud in LINK: down the ladder one rung at a time, and back up by itself once the beacon shines again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hal.clock import NS

if TYPE_CHECKING:
    from tests.e2e.conftest import ShortPass

CLOUD_S = (25.0, 31.0)  # after the rise
ARC_S = 45.0


def test_a_cloud_costs_one_rung_at_a_time_and_a_scan_from_the_coasted_estimate_finds_the_satellite_again(
    short_pass: ShortPass,
) -> None:
    rise_s = short_pass.rise_ns / NS
    flown = short_pass(ARC_S, cloud={"windows_s": [[rise_s + edge for edge in CLOUD_S]]})
    after = [(name, t_ns / NS - rise_s) for name, t_ns in flown.modes if t_ns / NS - rise_s > CLOUD_S[0]]
    assert [name for name, _ in after[:3]] == ["FINE", "COARSE", "ACQUIRE"]
    assert [name for name, _ in after[-4:]] == ["COARSE", "FINE", "LINK", "STOWED"]
    again_s = next(t_s for name, t_s in after if name == "LINK")
    assert CLOUD_S[1] < again_s < CLOUD_S[1] + 5.0
    assert flown.failures == {}
