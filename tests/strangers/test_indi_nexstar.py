"""INDI's Celestron driver opens the emulated mount, reads what it is, moves it with the arrow keys and aborts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from indi_server import Indi

pytestmark = pytest.mark.stranger


@pytest.fixture
def indi(program: Callable[[str, str], str], tmp_path: Path) -> Iterator[Indi]:
    indi = Indi(program, tmp_path, "indi_celestron_gps", "Celestron GPS")
    yield indi
    indi.close()


def test_the_celestron_driver_connects_moves_and_aborts(mount: Any, indi: Indi) -> None:
    indi.connect(mount.port.path)
    # our site, as the protocol's degrees, minutes and seconds: 28 deg 17 min 58 s
    assert float(indi.get("GEOGRAPHIC_COORD.LAT")) == pytest.approx(28 + 17 / 60 + 58 / 3600, abs=1e-6)
    # not aligned: "right ascension" in hours is the azimuth's angle
    assert float(indi.get("EQUATORIAL_EOD_COORD.RA")) == pytest.approx(178 / 15, abs=1e-3)

    indi.set("TELESCOPE_MOTION_NS.MOTION_NORTH=On")
    assert mount.wait_until(lambda: mount.rate[1] != 0, seconds=5)
    # its default is arrow-key rate 5, 32 times sidereal; which way "north" turns an axis differs between its versions
    assert abs(mount.rate[1]) == pytest.approx(32 * math.radians(15.041 / 3600))
    indi.set("TELESCOPE_MOTION_NS.MOTION_NORTH=Off")
    assert mount.wait_until(lambda: mount.rate == [0, 0], seconds=5)
