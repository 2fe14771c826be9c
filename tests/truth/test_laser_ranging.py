"""A prediction file flown against the laser ranges that stations measured on the same day: the whole chain, by nature.

LAGEOS-2, 2016-02-13: CPF of SGF, normal points (CRD) of Yarragadee (7090), Haleakala (7119) and Matera (7941), station
coordinates of SLRF2014. What is left is the height of the telescopes, and a decimetre.
"""

from __future__ import annotations

import re

import erfa
import numpy as np
import pytest

from controller.geometry import light
from controller.geometry.delay import slant_delay_m, vapour_pressure_hpa, zenith_delay_m
from controller.geometry.frames import Site
from controller.pointing.ephemeris.files import load_ephemerides
from controller.pointing.prediction import itrf_m

DAY = np.datetime64("2016-02-13", "ns").astype(np.int64)
CENTRE_OF_MASS_M = 0.251  # LAGEOS: its reflectors stand before its centre
STATIONS = ("7090", "7119", "7941")


def coordinates(path, station):
    """SLRF2014 at 2016-02-13.6: position of 2010.0 and its motion."""
    words = [line.split() for line in path.read_text().splitlines() if f" {station} " in line]
    values = {w[1]: float(w[8]) for w in words if len(w) > 9 and w[1][:3] in ("STA", "VEL")}
    position = np.array([values[f"STA{axis}"] for axis in "XYZ"])
    return position + 6.12 * np.array([values[f"VEL{axis}"] for axis in "XYZ"])


def normal_points(path):
    """(station, transmit time in UTC ns, two-way flight in s, hPa, K, percent) of 2016-02-13."""
    points, weather, station, day = [], None, "", ""
    for line in path.read_text().splitlines():
        words = line.split()
        kind = words[0].lower()
        if kind == "h2":
            station = next(w for w in words if re.fullmatch(r"\d{4}", w))
            found, weather = [], None
        elif kind == "h4":
            day = f"{int(words[2]):04d}-{int(words[3]):02d}-{int(words[4]):02d}"
        elif kind == "20":
            weather = [float(w) for w in words[2:5]]
            for point in found:
                point[3:] = point[3:] or weather  # Matera writes the weather after its point
        elif kind == "11" and day == "2016-02-13" and station in STATIONS:
            second, _, fraction = words[1].partition(".")
            t = DAY + int(second) * 1_000_000_000 + int((fraction + "0" * 9)[:9])
            found.append([station, t, float(words[2]), *(weather or [])])
            points.append(found[-1])
    return points


@pytest.fixture(scope="module")
def misses(shared_data, earth):
    """By station: sine of the elevation, and measured minus predicted range, one way, in metres."""
    folder = shared_data / "orbits/cpf_crd"
    (target,) = load_ephemerides(folder / "lageos2_cpf_160213_5441.sgf")

    def positions(times):
        return itrf_m(target, times, earth)

    found = {station: [] for station in STATIONS}
    for station, t, flight_s, hpa, kelvin, percent in normal_points(folder / "lageos2_20160214.npt"):
        place = coordinates(folder / "SLRF2014_POS+VEL_2030.0_200428.snx", station)
        longitude, latitude, height = erfa.gc2gd(1, place)
        site = Site(*np.degrees([latitude, longitude]), height, hpa, kelvin - 273.15, percent / 100)
        up = light.transmit(positions, np.array([t]), place)[0]
        down = light.receive(positions, np.array([t + round(flight_s * 1e9)]), place)[0]
        sine = (site.itrf_to_enu @ up)[2] / np.linalg.norm(up)
        zenith = zenith_delay_m(site, 0.532, vapour_pressure_hpa(site.relative_humidity, site.temperature_c))
        measured = flight_s * light.LIGHT_M_S / 2 - slant_delay_m(zenith, np.arcsin(sine), site) + CENTRE_OF_MASS_M
        found[station].append((sine, measured - (np.linalg.norm(up) + np.linalg.norm(down)) / 2))
    return {station: np.array(rows).T for station, rows in found.items()}


def test_lageos_is_where_laser_ranges_of_three_stations_say(misses):
    every = np.concatenate([miss for _, miss in misses.values()])
    assert len(every) == 53  # two are of a single shot; ephemeris.md counts the other 51
    assert np.sqrt(np.mean(every**2)) < 2.0  # 1.74 m there, by another program
    # Mean and scatter by station there, in metres; there with another model of the air.
    for station, mean, scatter in (("7941", 0.00, 0.09), ("7119", -1.60, 0.52), ("7090", -2.60, 0.33)):
        assert np.mean(misses[station][1]) == pytest.approx(mean, abs=0.15)
        assert np.std(misses[station][1]) < scatter + 0.05


def test_what_is_left_is_how_far_each_telescope_stands_above_its_marker(misses):
    # SLRF2014 has the markers on the ground; MOBLAS and TLRS telescopes stand metres above (their eccentricity). One
    # height a station explains the metres: prediction, light time, Earth and air agree with the ranges to decimetres.
    for sine, miss in misses.values():
        height_m = -np.sum(sine * miss) / np.sum(sine**2)
        assert 0 < height_m < 3.5
        assert np.abs(miss + height_m * sine).max() < 0.2


def test_the_delay_of_the_air_is_that_of_the_iers_conventions():
    # IERS Conventions 2010, FCUL_ZD_HPA and FCUL_A: 30.67166667 N 255.975 E 2010.344 m, 798.4188 hPa, 14.322 hPa of
    # water, 300.15 K, 532 nm, 38 degrees.
    site = Site(30.67166667, -104.025, 2010.344, 798.4188, 27.0)
    zenith = zenith_delay_m(site, 0.532, 14.322)
    assert zenith.hydrostatic_m == pytest.approx(1.932992, abs=4e-6)
    assert zenith.wet_m == pytest.approx(0.00223375, abs=1e-7)
    mapped = slant_delay_m(zenith, np.radians(38.0), site)
    assert mapped == pytest.approx(3.136995, abs=1e-4)
