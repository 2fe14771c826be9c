"""An old Earth-orientation table says so, with what it costs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from controller.geometry.earth import load_earth_orientation
from controller.geometry.timescales import MJD_1970, NS_PER_DAY

EVENING = int(np.datetime64("2025-10-04T21:00:00", "ns").astype(np.int64))


def measured_before(days):
    today_mjd = EVENING / NS_PER_DAY + MJD_1970
    return replace(load_earth_orientation(), measured_until_mjd=today_mjd - days)


def test_a_table_that_was_measured_lately_says_nothing():
    for days in (-1.0, 0.0, 9.9):
        earth = measured_before(days)
        assert earth.warning(EVENING) == ""
        assert not earth.degraded(EVENING)
    assert measured_before(-1.0).ut1_error_s(EVENING) == 0.0


def test_a_stale_table_is_named_with_its_age_and_its_error():
    earth = measured_before(60.0)
    assert earth.degraded(EVENING)
    sentence = earth.warning(EVENING)
    for words in ("measured until 60 days before", "off by 16.0 ms", "pointing is degraded", "astropy-iers-data"):
        assert words in sentence
    # 16 ms at 60 days cost 15 urad at 500 km: finals2000A of 2025-08-26 against what was measured later.
    assert "14.9 urad" in sentence


@pytest.mark.parametrize("days", [1, 7, 30, 100, 400])
def test_the_error_never_shrinks_with_age(days):
    assert measured_before(days).ut1_error_s(EVENING) <= measured_before(days + 20).ut1_error_s(EVENING)
    assert math.isfinite(measured_before(5000).ut1_error_s(EVENING))
