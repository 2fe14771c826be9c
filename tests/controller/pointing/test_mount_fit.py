"""The fit of a mount model, judged by a mount that is simulated otherwise: by rotation matrices."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from controller.geometry.frames import Site, azel_to_enu, enu_to_azel
from controller.pointing.mount import FLEXURE, MountModel
from controller.pointing.mount_fit import fit
from controller.pointing.observation import Observation, sky_offset

ARCSEC = math.pi / 648000
NOISE_RAD = 5 * ARCSEC
EAST, NORTH, UP = np.eye(3)


def turned(axis, angle):
    """Rotation by an angle about a unit vector, right-handed (the exponential of the cross-product matrix)."""
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * k @ k


class Steel:
    """A mount of steel: it looks somewhere when its encoders show something, and is fitted by somebody else."""

    def __init__(self, *, zero, tilt, fork, squint, sag=0.0, run_out=0.0, scale=0.0, lean=None):
        self.zero, self.fork, self.squint = zero, fork, squint
        self.sag, self.run_out, self.scale = sag, run_out, scale
        # Small turns about north, then east.
        self.lean = turned(NORTH, tilt[0]) @ turned(EAST, tilt[1]) if lean is None else lean

    def looks(self, azimuth_encoder, elevation_encoder):
        azimuth, elevation = azimuth_encoder - self.zero[0], elevation_encoder - self.zero[1]
        for _ in range(8):
            azimuth = azimuth_encoder - self.zero[0] - self.run_out * math.sin(azimuth)
            shown = elevation_encoder - self.zero[1] - self.sag * math.cos(elevation)
            elevation = shown / (1 + self.scale)
        tube = turned(UP, -self.squint) @ NORTH
        raised = turned(turned(NORTH, -self.fork) @ EAST, elevation) @ tube
        azimuth, elevation = enu_to_azel(self.lean @ turned(UP, -azimuth) @ raised)
        return float(azimuth), float(elevation)

    @classmethod
    def drawn(cls, rng, **more):
        tilt, zero = rng.normal(0, 1e-3, 2), rng.normal(0, 4e-3, 2)
        return cls(zero=zero, tilt=tilt, fork=rng.normal(0, 3e-4), squint=rng.normal(0, 5e-4), **more)

    def sight(self, rng, count, noise_rad=NOISE_RAD, wrong=()):
        """Stars all over the sky, each looked at once with the encoders at its place; some mistaken for others."""
        golden = math.pi * (3 - math.sqrt(5))
        heights = np.linspace(math.sin(math.radians(20)), math.sin(math.radians(80)), count)
        seen = []
        for i, height in enumerate(heights):
            star = (i * golden, math.asin(height))
            x, y = sky_offset(self.looks(*star), star) + rng.normal(0, noise_rad, 2)
            if i in wrong:
                x, y = np.add((x, y), rng.normal(0, 3e-3, 2))
            seen.append(Observation(f"star {i}", *star, *star, (1.0, 1.0), (x, y)))
        return seen

    def left_rad(self, model, points=500):
        """How far the boresight is from where the fitted model says, rms of one axis over the sky."""
        golden = math.pi * (3 - math.sqrt(5))
        heights = np.linspace(math.sin(math.radians(15)), math.sin(math.radians(85)), points)
        places = [(i * golden % math.tau, math.asin(height)) for i, height in enumerate(heights)]
        off = [sky_offset(self.looks(*model.encoder(*place)), place) for place in places]
        return float(np.sqrt(np.mean(np.square(off))))


@pytest.mark.parametrize("seed", range(8))
def test_twelve_sightings_with_outliers_leave_less_than_twice_their_noise_over_500_points_of_the_sky(seed):
    rng = np.random.default_rng(seed)
    mount = Steel.drawn(rng)
    wrong = rng.choice(12, 2, replace=False)
    found = fit(mount.sight(rng, 12, wrong=wrong))
    assert mount.left_rad(found.model) < 2 * NOISE_RAD
    assert set(np.nonzero(found.weights < 0.1)[0]) >= set(wrong)


def test_least_squares_on_the_same_sightings_would_not_do():
    rng = np.random.default_rng(0)
    mount = Steel.drawn(rng)
    seen = mount.sight(rng, 12, wrong=rng.choice(12, 2, replace=False))
    model = MountModel()
    for _ in range(5):  # Gauss-Newton without weights, on the six terms
        terms = ("IA", "IE", "CA", "NPAE", "AN", "AW")

        def off(model):
            return np.ravel(
                [
                    np.subtract(
                        sky_offset(
                            model.direction(o.azimuth_encoder_rad, o.elevation_encoder_rad),
                            (o.azimuth_rad, o.elevation_rad),
                        ),
                        o.offset_rad,
                    )
                    for o in seen
                ]
            )

        slope = np.array([(off(model.changed(**{t: getattr(model, t) + 1e-6})) - off(model)) / 1e-6 for t in terms]).T
        step = np.linalg.lstsq(slope, -off(model), rcond=None)[0]
        model = model.changed(**{t: getattr(model, t) + s for t, s in zip(terms, step, strict=True)})
    assert mount.left_rad(model) > 4 * NOISE_RAD


def test_flexure_and_an_eccentric_encoder_are_found_when_they_are_there():
    rng = np.random.default_rng(1)
    mount = Steel.drawn(rng, sag=150 * ARCSEC, run_out=80 * ARCSEC)
    found = fit(mount.sight(rng, 40))
    assert set(found.terms) - {"IA", "IE", "CA", "NPAE", "AN", "AW"} == {"TF", "HASA"}
    assert abs(found.model.TF - 150 * ARCSEC) < 4 * found.sigma_rad("TF")
    assert abs(found.model.HASA - 80 * ARCSEC) < 4 * found.sigma_rad("HASA")
    assert mount.left_rad(found.model) < NOISE_RAD


def test_terms_that_are_not_there_are_seldom_taken():
    taken = 0
    for seed in range(40):
        rng = np.random.default_rng(100 + seed)
        taken += len(set(fit(Steel.drawn(rng).sight(rng, 12)).terms) & set(FLEXURE)) > 0
    assert taken <= 6


def test_two_sightings_of_a_star_are_not_two_stars():
    """They share what its place and the worm are off by: it was taken for a term, and for more than is known."""
    taken, pulls = 0, []
    for seed in range(40):
        rng = np.random.default_rng(300 + seed)
        mount = Steel.drawn(rng)
        seen = []
        for once in mount.sight(rng, 12):
            own = rng.normal(0, 0.2 * NOISE_RAD, (2, 2))
            seen += [replace(once, offset_rad=tuple(np.add(once.offset_rad, each))) for each in own]
        found = fit(seen)
        taken += len(set(found.terms) & set(FLEXURE)) > 0
        pulls.append(mount.left_rad(found.model) / found.sky_sigma_rad())
    assert taken <= 6
    assert np.sqrt(np.mean(np.square(pulls))) < 1.5  # errors of the whole sky over what the fit says they are


def test_the_noise_that_a_fit_reports_is_the_noise_that_was_put_in():
    reported = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        reported.append(fit(Steel.drawn(rng).sight(rng, 24)).noise_rad)
    assert np.mean(reported) == pytest.approx(NOISE_RAD, rel=0.1)


# Riesing et al., pypogs, table III, ESTEC (52.217 N 4.425 E): right, forward and up of the mount in the Earth's frame,
# printed to four digits; alt0 0.9843 deg +- 18", C_P 0.1641 deg +- 20", C_D -0.465 % +- 0.040 %.
PYPOGS_AXES = [[-0.1729, 0.9838, 0.0471], [-0.7692, -0.1647, 0.6174], [0.6151, 0.0705, 0.7853]]
ALT0, C_P, C_D = math.radians(0.9843), math.radians(0.1641), -0.465e-2


def test_the_published_alignment_of_pypogs_is_recovered_from_eight_stars():
    estec = Site(52.217, 4.425, 0.0, 1013.25, 15.0, 0.5, "estec")
    u, _, v = np.linalg.svd(np.array(PYPOGS_AXES) @ estec.itrf_to_enu.T)
    mount = Steel(zero=(0.0, ALT0), tilt=(0.0, 0.0), fork=C_P, squint=0.0, scale=C_D, lean=(u @ v).T)
    rng = np.random.default_rng(2)
    noise_rad = 10 * ARCSEC
    start = MountModel(IA=math.radians(-6.0), IE=ALT0)
    # The operator centres each star, so the encoders are wherever that takes; the camera sees what is left.
    seen = []
    for place in [(o.azimuth_rad, o.elevation_rad) for o in mount.sight(rng, 8)]:
        encoder = start.encoder(*place)
        for _ in range(6):
            x, y = sky_offset(mount.looks(*encoder), place)
            encoder = encoder[0] + x / math.cos(place[1]), encoder[1] + y
        seen.append(Observation(str(place), *place, *encoder, (1.0, 1.0), tuple(rng.normal(0, noise_rad, 2))))
    found = fit(seen, start)
    assert set(found.terms) == {"IA", "IE", "CA", "NPAE", "AN", "AW", "PEE1"}
    recovered = np.array([found.model.IE, found.model.NPAE, found.model.PEE1])
    printed_sigma = np.array([18 * ARCSEC, 20 * ARCSEC, 0.040e-2])
    assert np.all(np.abs(recovered - (ALT0, C_P, C_D)) < 3 * printed_sigma)
    tilt = math.hypot(found.model.AN, found.model.AW), math.atan2(-found.model.AW, found.model.AN)
    assert np.degrees(tilt) == pytest.approx((1.3836, 109.0), abs=1.0)  # of the printed rows, by hand
    assert math.degrees(tilt[0]) == pytest.approx(1.3836, abs=0.02)
    assert math.degrees(found.model.IA) == pytest.approx(6.02, abs=0.05)  # its forward axis stands at -6.02 deg
    assert mount.left_rad(found.model, points=42) < 2 * noise_rad


def test_a_model_with_flexure_takes_a_direction_there_and_back():
    rng = np.random.default_rng(4)
    model = MountModel(IA=0.1, IE=-0.02, AN=2e-2, AW=1e-2, TF=3e-3, TX=1e-4, PEE1=-5e-3, HASA=2e-3, HACA2=1e-3)
    for azimuth, elevation in rng.uniform([-6.0, 0.0], [6.0, 1.5], (100, 2)):
        assert model.direction(*model.encoder(azimuth, elevation)) == pytest.approx((azimuth, elevation), abs=1e-9)


def test_over_the_top_is_the_same_direction_with_azimuth_turned_by_half():
    mount = Steel.drawn(np.random.default_rng(7))
    model = fit(mount.sight(np.random.default_rng(8), 30, noise_rad=0.0)).model
    for azimuth, elevation in [(0.3, 1.2), (-2.0, 0.6), (4.0, 1.5)]:
        over = model.encoder(azimuth + math.pi, math.pi - elevation)
        assert over[1] > math.pi / 2
        assert azel_to_enu(*mount.looks(*over)) == pytest.approx(azel_to_enu(azimuth, elevation), abs=1e-7)
        assert model.direction(*over) == pytest.approx((azimuth + math.pi, math.pi - elevation), abs=1e-9)
