"""Horizontal and equatorial directions, against ERFA (the IAU's SOFA), which the product's own pointing uses."""

from __future__ import annotations

import erfa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.devices.indi.equatorial import J2000_NS, apart_deg, equatorial_of, horizontal_of, sidereal_deg

ARCSEC_DEG = 1 / 3600
AZIMUTHS, ELEVATIONS, LATITUDES = st.floats(0, 359.9), st.floats(0, 89), st.floats(-89, 89)


@pytest.mark.parametrize("days", [0, 9_826.19, 14_000.5, -10_957.5])
def test_sidereal_time_is_erfas_to_what_the_module_says_that_it_leaves_out(days: float) -> None:
    apparent_deg = np.degrees(erfa.gst94(2_451_545.0, days))
    mine = sidereal_deg(J2000_NS + round(days * 86_400e9), 11.0)
    assert abs((mine - 11.0 - apparent_deg + 180) % 360 - 180) < 1.0 * ARCSEC_DEG


@given(AZIMUTHS, ELEVATIONS, LATITUDES)
def test_a_horizontal_direction_is_erfas_hour_angle_and_declination(az: float, el: float, latitude: float) -> None:
    hour_angle, declination = np.degrees(erfa.ae2hd(*np.radians([az, el, latitude])))
    ra_hours, dec_deg = equatorial_of((az, el), latitude, 100.0)
    assert 0 <= ra_hours < 24
    assert dec_deg == pytest.approx(declination, abs=1e-6)
    across = np.cos(np.radians(declination)) * ((100.0 - 15 * ra_hours - hour_angle + 180) % 360 - 180)
    assert abs(across) < 1e-6


@given(AZIMUTHS, ELEVATIONS, LATITUDES, st.floats(0, 360))
def test_there_and_back_is_the_same_direction(az: float, el: float, latitude: float, lst: float) -> None:
    azimuth, elevation = horizontal_of(equatorial_of((az, el), latitude, lst), latitude, lst)
    assert elevation == pytest.approx(el, abs=1e-6)
    assert abs(np.cos(np.radians(el)) * ((azimuth - az + 180) % 360 - 180)) < 1e-6


@given(st.floats(0, 23.9), st.floats(-90, 90), st.floats(0, 23.9), st.floats(-90, 90))
def test_the_way_between_two_directions_is_erfas(ra: float, dec: float, other_ra: float, other_dec: float) -> None:
    hours = np.radians(15)
    apart_rad = erfa.seps(ra * hours, np.radians(dec), other_ra * hours, np.radians(other_dec))
    assert apart_deg((ra, dec), (other_ra, other_dec)) == pytest.approx(np.degrees(apart_rad), abs=1e-5)
