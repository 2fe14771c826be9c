"""docs/safety.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from controller.safety.latch import CONFIRM_WINDOW_S, CONSENT_S
from controller.safety.votes import VOTERS

PAGE = Path(__file__).parents[3] / "docs" / "safety.md"


def rows() -> dict[str, tuple[str, str]]:
    found = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: (when, source) for name, when, source in found}


def test_the_page_lists_every_vote_in_the_order_of_the_code() -> None:
    assert list(rows()) == list(VOTERS)


def test_the_page_gives_the_ages_of_the_code(good: Any) -> None:
    limits = good.limits
    ages = {
        "mode": limits.mode_age_max_s,
        "pointing": limits.pointing_age_max_s,
        "horizon": limits.pointing_age_max_s,
        "axis_limits": limits.pointing_age_max_s,
        "sun": limits.pointing_age_max_s,
        "moon": limits.pointing_age_max_s,
        "interlock": limits.laser_age_max_s,
        "beam_board": limits.board_age_max_s,
        "read_back": limits.laser_age_max_s,
        "power": limits.laser_age_max_s,
        "time": limits.time_age_max_s,
        "ephemeris": limits.mode_age_max_s,
        "frames": limits.frame_age_max_s,
        "heartbeats": limits.heartbeat_age_max_s,
    }
    for name, age_s in ages.items():
        assert rows()[name][1].endswith(f", {age_s:g} s"), name


def test_the_page_gives_the_other_bounds_of_the_code(good: Any) -> None:
    limits, text = good.limits, PAGE.read_text()
    assert f"within {limits.pointing_cone_rad * 1e3:g} mrad" in rows()["pointing"][0]
    assert f"to {limits.current_tolerance * 100:g} %" in rows()["read_back"][0]
    assert f"within {limits.ephemeris_age_max_s / 86400:g} days" in rows()["ephemeris"][0]
    assert f"next {limits.look_ahead_s:g} s" in rows()["sun"][0]
    assert f"does not close within {limits.settle_s:g} s" in text
    assert f"{CONFIRM_WINDOW_S:g} s, the same hand" in text
    assert CONSENT_S == 3600.0
    assert "an hour at most" in text
