"""docs/reference.md says what the code does."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from hal.rig_problems import section_model

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference.md"


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "tables.py"))


def test_the_reference_is_what_the_code_says(tables: dict[str, Any]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"<!-- {name} -->" in page for name in tables["SECTIONS"])
    assert tables["fill"](page) == page, "run: python docs/tables.py"


def test_no_help_has_a_word_in_brackets_which_a_terminal_takes_for_a_style(tables: dict[str, Any]) -> None:
    for line in tables["commands"]().splitlines():
        assert not re.search(r"\[[a-z_]+\]", line), line


def test_every_key_of_a_rig_is_explained_and_no_other(tables: dict[str, Any]) -> None:
    sections = tables["rig_sections"]()
    keys = {f"{s}.{k}" for s, f in sections.items() for k in getattr(section_model(f), "model_fields", ())}
    assert set(tables["RIG_KEYS"]) == keys
    page = PAGE.read_text(encoding="utf-8")
    for key in keys:
        section, _, name = key.partition(".")
        assert f"| `[{section}] {name}` |" in page


def test_every_link_between_pages_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name} links to {link}"
