from __future__ import annotations

import pytest

from sim_hw.scene.earth import Site
from sim_hw.scene.target import Target

# CelesTrak, active satellites of 2025-10-03.
STARLINK_1008 = Target(
    "STARLINK-1008",
    "1 44714U 19074B   25276.13107144  .00025038  00000+0  16942-2 0  9995",
    "2 44714  53.0528 173.9279 0001574 105.0028 255.1136 15.06392841325008",
)


@pytest.fixture
def site() -> Site:
    """The optical ground station on Tenerife."""
    return Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3)


@pytest.fixture
def target() -> Target:
    return STARLINK_1008
