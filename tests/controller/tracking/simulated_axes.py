"""Two gimbal axes, their disturbances and a plain gimbal loop, for closing the coarse loop in a test.

Straight flight over a flat site is close enough to a pass: what matters to the loop are rates, range and their changes.
Written apart from both the controller and the emulated bench.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from controller.bus.topics import PointingState
from controller.tracking.coarse import CoarseEstimator, Disturbances
from controller.tracking.pairing import Pairing

URAD = 1e-6
STEP_S = 0.005


@dataclass(frozen=True)
class Scene:
    """What is switched on; the figures are the issue's."""

    along_m: float = 300.0
    cross_m: float = -100.0
    mount_rad: float = 40e-6
    worm_rad: float = 24e-6
    worm2_rad: float = 7.5e-6
    backlash_rad: float = 150e-6
    backlash_known: float = 0.85  # share that the mount model knows
    wind_rad: float = 10e-6
    gust_rad: float = 60e-6
    jitter_rad: float = 15.85e-6
    tilt_rad: float = 5e-6
    blank_s: tuple[float, float] = (1e9, 1e9)  # the beacon is off

    def without(self, **off: float) -> Scene:
        return replace(self, **off)


def position(t_s: float, along_m: float = 0.0, cross_m: float = 0.0, culmination_rad: float = math.radians(70)):
    """East, north, up of a satellite at 550 km and 7.6 km/s, culminating at t = 0."""
    flight = 7600.0 * t_s + along_m
    side = 550e3 / math.tan(culmination_rad) + cross_m
    heading = math.radians(-90)
    east = flight * math.sin(heading) + side * math.cos(heading)
    north = flight * math.cos(heading) - side * math.sin(heading)
    return east, north, 550e3 - (flight**2 + side**2) / (2 * 6.92e6)


def look(t_s: float, along_m: float = 0.0, cross_m: float = 0.0) -> tuple[float, float, float]:
    """Azimuth, elevation, range."""
    east, north, up = position(t_s, along_m, cross_m)
    ground = math.hypot(east, north)
    return math.atan2(east, north), math.atan2(up, ground), math.hypot(ground, up)


def look_rate(t_s: float) -> tuple[float, float]:
    a, b = look(t_s - 0.01), look(t_s + 0.01)
    return (b[0] - a[0]) / 0.02, (b[1] - a[1]) / 0.02


@dataclass
class Result:
    """Per camera frame: time, coarse error without jitter (n, 2), what the estimator said."""

    t_s: np.ndarray
    error_rad: np.ndarray
    total_rad: np.ndarray
    sigma_rad: np.ndarray
    total_sigma_rad: np.ndarray
    offset_miss_rad: np.ndarray


def fly(
    seed: int, scene: Scene | None = None, start_s: float = -100.0, end_s: float = 100.0, disturbances=None, loop=True
) -> Result:
    """Close the loop over part of a pass."""
    scene = scene or Scene()
    rng = np.random.default_rng(seed)
    estimator, pairing = CoarseEstimator(disturbances or Disturbances()), Pairing()
    worm_phase = rng.uniform(0, 2 * math.pi, 4)
    mount = rng.standard_normal(4) * scene.mount_rad / 2
    latency = lambda: 0.075 + rng.uniform(-0.015, 0.015)  # noqa: E731
    steps = round((end_s - start_s) / STEP_S)
    wind = markov(rng, steps, scene.wind_rad, 0.3)
    jitter = markov(rng, steps, scene.jitter_rad, 1.0)
    tilt = rng.standard_normal((steps, 2)) * scene.tilt_rad
    gust_at = rng.uniform(start_s + 10, end_s - 10)

    azimuth, elevation, _ = look(start_s)
    encoder = [azimuth, elevation]
    optical = elevation
    rate = list(look_rate(start_s))
    pending: list[tuple[float, float, float]] = []
    target_rate = list(rate)
    correction = None
    next_pointing, next_frame = start_s, start_s
    out = Result(*(np.empty((0,)) for _ in range(6)))
    rows = []
    half = scene.backlash_rad / 2
    known = half * scene.backlash_known
    for number in range(steps):
        t = start_s + number * STEP_S
        while pending and pending[0][0] <= t:
            _, target_rate[0], target_rate[1] = pending.pop(0)
        for axis in (0, 1):
            change = target_rate[axis] - rate[axis]
            most = math.radians(2.0) * STEP_S
            rate[axis] += min(max(change, -most), most)
            encoder[axis] += rate[axis] * STEP_S
        optical = min(max(optical, encoder[1] - half), encoder[1] + half)
        predicted = look(t)
        cos_el = math.cos(predicted[1])
        if t >= next_pointing:
            next_pointing += 0.09
            sign = math.copysign(1.0, look_rate(t)[1])
            read = [encoder[0] + rng.normal(0, 1.2e-6), encoder[1] + rng.normal(0, 1.2e-6) - sign * known]
            prate = look_rate(t)
            deviation = ((read[0] - predicted[0]) * cos_el, read[1] - predicted[1])
            deviation_rate = ((rate[0] - prate[0]) * cos_el, rate[1] - prate[1])
            pairing.take(
                PointingState(
                    utc(t), "track", read[0], read[1], rate[0], rate[1], predicted[0], predicted[1], prate[0], prate[1],
                    predicted[2], deviation, deviation_rate, (0, 0), (0, 0), 0.075, True,
                )
            )  # fmt: skip
            effect = t + 0.075
            arrive = [read[a] + flown(t, effect, pending, target_rate, a) for a in (0, 1)]
            # the rate command lasts from `effect` to one period later: aim at its middle
            goal, grate = look(effect), look_rate(effect + 0.045)
            wanted, wrate = (0.0, 0.0), (0.0, 0.0)
            if correction is not None and loop:
                late = (utc(effect) - correction.t_utc_ns) * 1e-9
                wrate = correction.rate_rad_s
                wanted = tuple(o + r * late for o, r in zip(correction.offset_rad, wrate, strict=True))
            cg = math.cos(goal[1])
            aim = (goal[0] + wanted[0] / cg, goal[1] + wanted[1])
            ff = (grate[0] + wrate[0] / cg, grate[1] + wrate[1])
            command = [ff[a] + 4.0 * (aim[a] - arrive[a]) for a in (0, 1)]
            pending.append((t + latency(), command[0], command[1]))
            pending.sort()
        if t >= next_frame:
            next_frame += 0.02
            truth = look(t, scene.along_m, scene.cross_m)
            scale = 2 * math.pi / math.radians(2.0)
            bore_az = encoder[0] + scene.worm_rad * math.sin(encoder[0] * scale + worm_phase[0])
            bore_az += scene.worm2_rad * math.sin(2 * encoder[0] * scale + worm_phase[1])
            bore_el = optical + scene.worm_rad * math.sin(encoder[1] * scale + worm_phase[2])
            bore_el += scene.worm2_rad * math.sin(2 * encoder[1] * scale + worm_phase[3])
            bore_az += mount[0] * math.cos(encoder[0]) / cos_el + mount[1] / cos_el
            bore_el += mount[2] * math.sin(encoder[0]) + mount[3]
            gust = scene.gust_rad * math.sin(math.pi * min(max((t - gust_at) / 1.5, 0), 1)) ** 2
            error = np.array(
                [(truth[0] - bore_az) * cos_el - wind[number, 0] - gust, truth[1] - bore_el - wind[number, 1]]
            )
            total = error + jitter[number] + tilt[number]
            moment = pairing.at(utc(t))
            seen = not scene.blank_s[0] <= t < scene.blank_s[1]
            measured = tuple(total + rng.normal(0, 1e-6, 2)) if seen else None
            estimator.observe(moment, measured, 1e-6)
            b_now = error + np.array(moment.deviation_rad)
            correction = estimator.estimate(pairing.at(utc(t + 0.015)), pairing.at(utc(t + 0.135)))
            rows.append(
                (t, error, total, correction.sigma_rad, estimator.total_sigma(moment),
                 np.array(estimator.estimate(moment, pairing.at(utc(t) + 1)).offset_rad) - b_now)
            )  # fmt: skip
    out.t_s, out.error_rad, out.total_rad, out.sigma_rad, out.total_sigma_rad, out.offset_miss_rad = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    return out


def utc(t_s: float) -> int:
    return 1_700_000_000_000_000_000 + round(t_s * 1e9)


def flown(t: float, until: float, pending, in_effect, axis: int) -> float:
    """Angle travelled from t to `until` with the commands in flight."""
    moved, at, speed = 0.0, t, in_effect[axis]
    for start, *rates in pending:
        if start < until:
            moved += speed * max(start - at, 0.0)
            at, speed = max(start, at), rates[axis]
    return moved + speed * (until - at)


def markov(rng, steps: int, sigma: float, corner_hz: float) -> np.ndarray:
    """First-order Gauss-Markov, two axes."""
    keep = math.exp(-2 * math.pi * corner_hz * STEP_S)
    kick = rng.standard_normal((steps, 2)) * sigma * math.sqrt(1 - keep**2)
    out = np.empty((steps, 2))
    now = rng.standard_normal(2) * sigma
    for number in range(steps):
        now = keep * now + kick[number]
        out[number] = now
    return out
