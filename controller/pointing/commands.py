"""What the bodies of pointing's commands mean: data from the bus to a target. Pure; every wrong body is a sentence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from controller.errors import BoresightError
from controller.geometry.stars import bright_stars
from controller.geometry.trajectory import Trajectory
from controller.pointing.elements import AGE_MAX_DAYS, ElementSet, parse_elements
from controller.pointing.ephemeris.described import CatalogueStar
from controller.pointing.mount import Signs
from controller.pointing.plan import LEAD_NS, AxisLimits, demand
from controller.pointing.prediction import Observer, predict
from controller.pointing.targets import Fixed

STAR_SPAN_NS = 600 * 1_000_000_000
CAMERA_WAVELENGTH_UM = 0.976
ELEVATION_LIMITS_RAD = (0.0, math.pi / 2)


class CommandError(BoresightError):
    """A command's body is wrong (`SCHEMA`) or asks for what may not be done (`LIMIT`)."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def trajectory_of(body: dict[str, Any], observer: Observer, limits: AxisLimits, now_utc_ns: int) -> Trajectory:
    """The path of `pointing.track`: ready segments, a bright star by name, or two lines and a span.

    Raises CommandError, and BoresightError from the element set.
    """
    if "segments" in body:
        return _within(_segments(body["segments"]), str(body.get("name", "the trajectory")), body, limits)
    if "star" in body:
        return _star(str(body["star"]), observer, now_utc_ns)
    elements, start_ns, end_ns = _span(body)
    elements.check_age(start_ns, float(body.get("age_max_days", AGE_MAX_DAYS)))
    return _within(predict(elements, observer, start_ns - LEAD_NS, end_ns + LEAD_NS), elements.name, body, limits)


def fixed_of(body: dict[str, Any]) -> Fixed:
    """The direction of `pointing.slew`. Raises CommandError."""
    azimuth, elevation = (_number(body, name) for name in ("azimuth_rad", "elevation_rad"))
    low, high = ELEVATION_LIMITS_RAD
    if not low <= elevation <= high:
        raise CommandError("LIMIT", f"elevation {math.degrees(elevation):.2f} deg is outside 0 to 90 deg")
    return Fixed(azimuth, elevation, _signs(body.get("approach", (0, 0))))


def _within(path: Trajectory, name: str, body: dict[str, Any], limits: AxisLimits) -> Trajectory:
    why = demand(path, limits.frame).refusal(limits, margin=1.0)
    if why and not body.get("above_limits", False):
        raise CommandError("LIMIT", f"{name}: {why}", "ask for it above limits to fly it with an outage")
    return path


def _segments(rows: Any) -> Trajectory:
    try:
        return Trajectory.from_body(rows)
    except (ValueError, TypeError) as error:
        raise CommandError("SCHEMA", str(error), "send what Trajectory.to_body gives") from None


def _star(name: str, observer: Observer, now_utc_ns: int) -> Trajectory:
    for star in bright_stars():
        if star.name.lower() == name.lower():
            camera = Observer(observer.site, observer.earth, CAMERA_WAVELENGTH_UM, CAMERA_WAVELENGTH_UM)
            return predict(CatalogueStar.of(star), camera, now_utc_ns, now_utc_ns + STAR_SPAN_NS)
    raise CommandError("SCHEMA", f"no star named {name!r} in the catalogue", "see controller/data/stars.toml")


def _span(body: dict[str, Any]) -> tuple[ElementSet, int, int]:
    try:
        text = [str(body["name"]), str(body["line1"]), str(body["line2"])]
        start_ns, end_ns = int(body["start_utc_ns"]), int(body["end_utc_ns"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise CommandError("SCHEMA", "track needs name, line1, line2, start_utc_ns and end_utc_ns") from None
    if not 0 < end_ns - start_ns < 86_400 * 1_000_000_000:
        raise CommandError("SCHEMA", "end_utc_ns must lie after start_utc_ns, within a day")
    return parse_elements(text, "command")[0], start_ns, end_ns


def _number(body: dict[str, Any], name: str) -> float:
    value = body.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not np.isfinite(value):
        raise CommandError("SCHEMA", f"slew needs {name}, a number of radians")
    return float(value)


def _signs(value: Any) -> Signs:
    try:
        azimuth, elevation = (float(v) for v in value)
    except (TypeError, ValueError):
        azimuth = elevation = math.nan
    if not {azimuth, elevation} <= {-1.0, 0.0, 1.0}:
        raise CommandError("SCHEMA", "approach is a pair of -1, 0 or 1")
    return azimuth, elevation
