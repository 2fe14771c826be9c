"""docs/safety.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from controller.safety.clearance.gates import SITE_WITHIN_M
from controller.safety.latch import CONFIRM_WINDOW_S, CONSENT_S
from controller.safety.limits import POWER_FLOOR
from controller.safety.traffic.live import LISTENING_S, SILENCE_MAX_S
from controller.safety.traffic.tracks import (
    FORGOTTEN_S,
    SPEED_LEAST_M_S,
    SPEED_MARGIN,
    SPEED_UNKNOWN_M_S,
    Uncertainty,
)
from controller.safety.votes import VOTERS, ballot
from controller.safety.zones import FLIGHT_ZONES_W_M2, mpe_w_m2
from hal.rig_safety import AircraftSection, ClearinghouseSection

PAGE = Path(__file__).parents[3] / "docs" / "safety.md"


def rows() -> dict[str, tuple[str, str]]:
    found = re.findall(
        r"^\| `(\w+)` \| (.*) \| (.*) \|$", PAGE.read_text().partition("## Clearinghouse")[0], re.MULTILINE
    )
    return {name: (when, source) for name, when, source in found}


def test_the_page_lists_every_vote_in_the_order_of_the_code() -> None:
    assert list(rows()) == list(VOTERS)


def test_the_page_gives_input_and_age_limit_of_every_vote_as_the_code_has_them(good: Any) -> None:
    for name, voter in VOTERS.items():
        age_s = voter.age_limit_s(good.limits)
        assert rows()[name][1] == (f"{voter.rests_on}, {age_s:g} s" if voter.age_limit else voter.rests_on), name


def test_every_vote_is_published_with_its_age_limit(good: Any) -> None:
    told = {vote.name: vote.age_limit_s for vote in ballot(good.inputs(), good.limits).votes(good.limits)}
    assert told == {name: voter.age_limit_s(good.limits) for name, voter in VOTERS.items()}
    assert told["power"] == 0.35


def test_the_page_gives_the_other_bounds_of_the_code(good: Any) -> None:
    limits, text = good.limits, PAGE.read_text()
    assert f"within {limits.pointing_cone_rad * 1e3:g} mrad" in rows()["pointing"][0]
    assert f"to {limits.current_tolerance * 100:g} %" in rows()["read_back"][0]
    assert f"within {limits.ephemeris_age_max_s / 86400:g} days" in rows()["ephemeris"][0]
    assert f"next {limits.look_ahead_s:g} s" in rows()["sun"][0]
    assert f"does not close within {limits.settle_s:g} s" in text
    assert f"fallen {limits.settle_s:g} s later" in " ".join(text.split())
    assert f"by more than {limits.power_noise * 100:g} % of the cap" in text
    assert (POWER_FLOOR, "less than a tenth of what is expected" in text) == (0.1, True)
    assert f"{CONFIRM_WINDOW_S:g} s, the same hand" in text
    assert CONSENT_S == 3600.0
    assert "an hour at most" in text
    assert f"less {limits.divergence_tolerance * 100:g} %" in rows()["divergence"][0]


def test_the_page_gives_the_bounds_of_clearinghouse_and_aircraft() -> None:
    text, uncertainty, section = PAGE.read_text(), Uncertainty(), AircraftSection()
    assert f"`pad_s` ({ClearinghouseSection().pad_s:g} s)" in text
    assert f"more than {SITE_WITHIN_M:g} m from" in text
    assert f"({uncertainty.position_m:g} m, {uncertainty.altitude_m:g} m:" in text
    assert (section.position_uncertainty_m, section.altitude_uncertainty_m) == (200.0, 600.0)
    assert f"at {SPEED_MARGIN:g} times its ground speed, at least {SPEED_LEAST_M_S:g} m/s" in text
    assert f"{SPEED_UNKNOWN_M_S:g} m/s when unknown" in text
    assert f"`cone_deg` ({section.cone_deg:g} deg)" in text
    assert f"{FORGOTTEN_S:g} s after its last message" in text
    assert f"heard for {LISTENING_S:g} s without a silence of more than {SILENCE_MAX_S:g} s" in text


def test_the_page_gives_the_limits_of_the_zones() -> None:
    zones = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) W/m² ", PAGE.read_text(), re.MULTILINE))
    assert {name: float(limit) for name, limit in zones.items()} == FLIGHT_ZONES_W_M2
    (told,) = re.findall(r"^\| `nohd` \| (.*) \| .* \|$", PAGE.read_text(), re.MULTILINE)
    for start_nm in (500, 700, 1050, 1400):
        assert f"from {start_nm} nm" in told
        assert mpe_w_m2(start_nm) == {500: 10.0, 700: 10.0, 1050: 50.0, 1400: 1000.0}[start_nm]
