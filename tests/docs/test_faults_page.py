from __future__ import annotations

from sim_hw.faults.table import page


def test_the_page_of_faults_is_made_from_the_table(pytestconfig) -> None:
    told = "make it anew: python -m sim_hw.faults.table > docs/faults.md"
    assert (pytestconfig.rootpath / "docs" / "faults.md").read_text(encoding="utf-8") == page(), told
