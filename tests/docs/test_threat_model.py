"""The threat model names tests that exist, one for each threat."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
THREATS = [line for line in PAGE.partition("## Threats")[2].partition("## What")[0].splitlines() if "|" in line][2:]


def test_every_threat_names_a_test_that_exists() -> None:
    known = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(THREATS) > 20
    for threat in THREATS:
        named = re.findall(r"`(test_\w+)`", threat)
        assert named, threat
        assert set(named) <= known, threat


def test_the_way_to_report_is_said_and_leads_to_no_invented_address() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "private report" in text
    assert "@" not in text
