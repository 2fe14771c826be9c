"""Hazard distances against numbers of reference/pat.md, section 5.7 ("Safety [D; MPE values M]")."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.cli import main
from controller.errors import BoresightError
from controller.safety.zones import Beam, mpe_w_m2, range_m, zones

#: power, wavelength, a, phi, hazard distance: pat.md 5.7, exposure limits from its 3.4
NOHD = [
    (10.0, 1550.0, 0.1, 40e-6, 321.0),
    (10.0, 1550.0, 0.1, 110e-6, 117.0),
    (0.5, 976.0, 5e-3, 13.09e-3, 9.83),
    (5_000.0, 1064.0, 1.0, 30e-6, 343e3),
]


DIGITS = {"sensitive": 1, "critical": None, "laser_free": None}


@pytest.mark.parametrize(("power_w", "wavelength_nm", "a_m", "phi_rad", "expected_m"), NOHD)
def test_the_hazard_distance_is_that_of_the_reference(
    power_w: float, wavelength_nm: float, a_m: float, phi_rad: float, expected_m: float
) -> None:
    nohd, *_ = zones(Beam(power_w, wavelength_nm, a_m, phi_rad))
    assert float(f"{nohd.range_m:.3g}") == expected_m  # the reference gives three digits


def test_the_irradiance_at_the_aperture_is_that_of_the_reference() -> None:
    assert Beam(10.0, 1550.0, 0.1, 40e-6).exit_w_m2 == pytest.approx(1273, abs=0.5)


def test_the_flight_zones_of_a_visible_beam_are_those_of_the_reference() -> None:
    # "A 10 W/40 µrad visible beam: sensitive 86.7 km, critical 396 km, laser-free 3987 km"
    found = {zone.name: zone.range_m for zone in zones(Beam(10.0, 532.0, 0.1, 40e-6))}
    assert {name: round(found[name] / 1e3, digits) for name, digits in DIGITS.items()} == {
        "sensitive": 86.7,
        "critical": 396,
        "laser_free": 3987,
    }


def test_an_invisible_beam_has_no_flight_zones() -> None:
    assert [zone.name for zone in zones(Beam(10.0, 1550.0, 0.1, 40e-6))] == ["nohd"]


@pytest.mark.parametrize(
    ("wavelength_nm", "limit_w_m2"),
    [(850, 20.0), (976, 35.6), (1064, 50.0), (1500, 1000.0), (1800, 1000.0)],  # pat.md 3.4, marked M
)
def test_exposure_limits_are_those_of_the_reference(wavelength_nm: float, limit_w_m2: float) -> None:
    assert mpe_w_m2(wavelength_nm) == pytest.approx(limit_w_m2, rel=3e-3)


def test_the_limit_never_falls_towards_longer_waves_and_has_no_jump_at_the_seams() -> None:
    limits = [mpe_w_m2(wavelength_nm) for wavelength_nm in range(400, 1800)]
    assert limits == sorted(limits)
    for seam_nm in (450, 500, 700):
        assert mpe_w_m2(seam_nm - 1e-6) == pytest.approx(mpe_w_m2(seam_nm), rel=1e-4)


@pytest.mark.parametrize("wavelength_nm", [399.0, 2e6, float("nan")])
def test_a_wavelength_without_a_limit_is_refused(wavelength_nm: float) -> None:
    with pytest.raises(BoresightError, match="take it from the standard"):
        mpe_w_m2(wavelength_nm)


def test_a_beam_below_the_limit_at_its_aperture_is_no_hazard_at_any_distance() -> None:
    assert range_m(Beam(1.0, 1550.0, 0.28, 40e-6), 1000.0) == 0.0


def test_the_irradiance_at_the_distance_is_the_limit() -> None:
    beam = Beam(2.0, 976.0, 0.05, 1e-3)
    far = Beam(2.0, 976.0, beam.diameter_m + beam.divergence_rad * range_m(beam, 20.0), 1e-3)
    assert far.exit_w_m2 == pytest.approx(20.0)


def test_values_at_1_e2_are_narrowed_by_the_root_of_two() -> None:
    beam = Beam.from_e2(1.0, 1550.0, 0.28, 80e-6)
    assert (beam.diameter_m, beam.divergence_rad) == pytest.approx((0.19799, 56.569e-6), rel=1e-4)


def said(capsys: Any, *words: str) -> str:
    main(["zones", *words])
    out: str = capsys.readouterr().out
    return out


def test_the_command_gives_zones_with_limit_formula_and_source(capsys: Any) -> None:
    told = json.loads(said(capsys, "--json"))
    assert told["power_w"] == 1.2  # the shipped rig's cap: what the measurement lets through
    assert told["wavelength_m"] == pytest.approx(1590e-9)
    assert told["divergence_1e_rad"] == pytest.approx(56.57e-6, rel=1e-3)
    (nohd,) = told["zones"]
    assert (nohd["name"], nohd["limit_w_m2"], nohd["range_m"]) == ("nohd", 1000.0, 0.0)
    assert "IEC 60825-1" in nohd["source"]
    assert told["not_applicable"] == ["sensitive", "critical", "laser_free"]
    assert "not for an invisible beam: sensitive" in said(capsys)


def test_the_command_takes_another_beam_and_another_limit(capsys: Any) -> None:
    root2 = 2**0.5
    beam = ("--power", "10", "--diameter", str(0.1 * root2), "--divergence", str(40 * root2), "--wavelength", "532")
    told = json.loads(said(capsys, *beam, "--limit", "1000", "--json"))
    ranges = {zone["name"]: zone["range_m"] for zone in told["zones"]}
    assert ranges["nohd"] == pytest.approx(321.0, rel=2e-3)
    assert ranges["sensitive"] == pytest.approx(86.7e3, abs=50)
    assert "396.4 km" in said(capsys, *beam) or "396.5 km" in said(capsys, *beam)


@pytest.mark.parametrize("words", [("--power", "0"), ("--divergence", "-1"), ("--limit", "nan")])
def test_a_beam_that_cannot_be_is_refused(capsys: Any, words: tuple[str, str]) -> None:
    with pytest.raises(SystemExit):
        main(["zones", *words])
    assert "write a number above zero" in capsys.readouterr().err
