"""Whether SGP4 has been compiled on this machine is known before it is asked for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from controller.pointing import constellation_block
from controller.pointing.constellation_block import compiled_before


def test_a_machine_that_has_compiled_none_or_not_all_of_it_is_told_apart(monkeypatch, tmp_path):
    elsewhere = SimpleNamespace(stats=SimpleNamespace(cache_path=str(tmp_path)))
    monkeypatch.setattr(constellation_block, "search", elsewhere)
    assert not compiled_before()
    for name in ("initialise", "propagate"):
        (tmp_path / f"constellation_block.{name}-1.py311.nbi").touch()
    assert not compiled_before()
    (tmp_path / "constellation_block.search-1.py311.nbi").touch()
    assert compiled_before()


def test_what_numba_writes_is_what_is_looked_for():
    constellation_block.initialise(np.zeros((0, 7)), np.zeros((0, constellation_block.COEFFICIENTS)))
    files = constellation_block.initialise.stats.cache_path
    assert list(Path(files).glob("constellation_block.initialise-*.nbi"))
