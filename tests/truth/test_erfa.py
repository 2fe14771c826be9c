"""ERFA as installed gives the numbers that its own test program prints (t_erfa_c.c), to the last digits."""

from __future__ import annotations

import erfa
import pytest


def test_a_star_goes_from_catalogue_to_observed_as_in_erfas_own_test():
    observed = erfa.atco13(
        *(2.71, 0.174, 1e-5, 5e-6, 0.1, 55.0),  # place, motion, parallax, radial velocity
        *(2456384.5, 0.969254051, 0.1550675),  # UTC, UT1-UTC
        *(-0.527800806, -1.2345856, 2738.0, 2.47230737e-7, 1.82640464e-6),  # site, pole
        *(731.0, 12.8, 0.59, 0.55),  # air, wavelength
    )
    expected = (  # orbits/tables/truth_vectors.json
        *(0.09251774485486737, 1.4076614052564997, -0.09265154431530948),
        *(0.17166265600725278, 2.710260453504961, -0.0030205483548024123),
    )
    assert observed == pytest.approx(expected, abs=1e-12)


def test_aberration_is_that_of_erfas_own_test():
    seen = erfa.ab(
        [-0.76321968546737951, -0.60869453983060384, -0.21676408580639883],
        [2.1044018893653786e-5, -8.9108923304429319e-5, -3.8633714797716569e-5],
        0.99980921395708788,
        0.99999999506209258,
    )
    assert seen == pytest.approx([-0.7631631094219556269, -0.6087553082505590832, -0.2167926269368471279], abs=1e-12)


def test_the_direction_conversions_are_those_of_erfas_own_test():
    assert erfa.hd2ae(1.1, 1.2, 0.3) == pytest.approx((5.916889243730066194, 0.4472186304990486228), abs=1e-13)
    place = erfa.gd2gc(1, 3.1, -0.5, 2500.0)
    assert place == pytest.approx([-5599000.5577049947, 233011.67223479203, -3040909.4706983363], abs=1e-7)
