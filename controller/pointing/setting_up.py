"""What a star calibration says about mistakes of setting up: which one would explain the stars that were seen.

A wrong clock or a wrong place turns the whole sky; the fit takes that for a mount that leans, and stars then come out
right while satellites do not. An axis that is wired or counted wrongly leaves stars where no mount would see them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from controller.geometry.frames import Site
from controller.geometry.timescales import TT_MINUS_TAI_NS, Floats, tai_minus_utc_s
from controller.pointing.mount_frame import ALT_AZ, MountFrame
from controller.pointing.mount_place import Counting, as_read, directions, rotation_between
from controller.pointing.observation import Observation, about_axes

SKY_RAD_S = 7.292115e-5  # the Earth turns
GPS_MINUS_TAI_S = -19.0
AGREES = 0.15  # of a turn that a mistake explains, what may be left
NOTICED_RAD = math.radians(0.04)  # a smaller turn is a mount that leans
WRONG_RAD = math.radians(2.0)  # stars that fit no better than this fit nothing
BETTER = 10.0

COUNTED: tuple[tuple[str, Counting], ...] = (
    ("azimuth counts westwards; reverse its sign", lambda a, e: (-a, e)),
    ("azimuth and elevation are swapped; exchange the two axes", lambda a, e: (e, a)),
    ("elevation counts from the zenith; give 90 degrees minus it", lambda a, e: (a, np.pi / 2 - e)),
    ("elevation counts downwards; reverse its sign", lambda a, e: (a, -e)),
)


def mistake(observations: Sequence[Observation], site: Site, t_utc_ns: int, frame: MountFrame = ALT_AZ) -> str:
    """The sentence for a mistake that explains the stars far better than a mount in this frame does, or nothing."""
    seen, stands = about_axes(observations, frame), np.array(frame.rotation)
    return _miscounted(seen) or _turned_sky(stands.T @ rotation_between(seen) @ stands, site, t_utc_ns)


def _miscounted(observations: Sequence[Observation]) -> str:
    plain = _left_rad(observations, as_read)
    if plain < WRONG_RAD:
        return ""
    # A mirror image is mended by either sign; the mount stands upright for the right one.
    fitting = [(_lean_rad(observations, c), text) for text, c in COUNTED if _left_rad(observations, c) < plain / BETTER]
    return f"The stars fit no mount as it is described, but do if {min(fitting)[1]}." if fitting else ""


def _turned_sky(turn: Floats, site: Site, t_utc_ns: int) -> str:
    latitude, longitude = math.radians(site.latitude_deg), math.radians(site.longitude_deg)
    pole = np.array([0.0, math.cos(latitude), math.sin(latitude)])
    tai_s = float(tai_minus_utc_s(np.array([t_utc_ns]))[0])
    scales = {"TT": tai_s + TT_MINUS_TAI_NS * 1e-9, "TAI": tai_s, "GPS time": tai_s + GPS_MINUS_TAI_S}
    found: list[tuple[float, float, str]] = []
    for name, ahead_s in scales.items():
        text = f"a clock that shows {name} for UTC ({ahead_s:.3f} s ahead) would explain; set it to UTC"
        found.append(_explained(turn, pole, -SKY_RAD_S * ahead_s, text))
    for hours in (*range(-12, 0), *range(1, 15)):
        text = f"a clock that shows local time for UTC ({hours:+d} h) would explain; set it to UTC"
        found.append(_explained(turn, pole, -SKY_RAD_S * 3600 * hours, text))
    for axis, angle, name in (
        (pole, -2 * longitude, "longitude"),
        (np.array([1.0, 0.0, 0.0]), 2 * latitude, "latitude"),
    ):
        value = getattr(site, f"{name}_deg")
        text = f"a {name} of the wrong sign would explain; {value:g} should be {-value:g}"
        found.append(_explained(turn, axis, angle, text))
    share, angle, text = min(found)
    if share > AGREES or angle < NOTICED_RAD:
        return ""
    return f"The mount seems to stand {math.degrees(angle):.2f} degrees askew, in just the way that {text}."


def _explained(turn: Floats, axis: Floats, angle: float, text: str) -> tuple[float, float, str]:
    """What share of an assumed turn of the sky about an axis is left in the mount's rotation, and that turn."""
    angle = math.remainder(angle, math.tau)
    left = _angle(turn @ _about(axis, -angle).T)
    return left / max(abs(angle), 1e-12), abs(angle), text


def _left_rad(observations: Sequence[Observation], counted: Counting) -> float:
    """The median angle between stars and boresight after the best rotation."""
    sky, mount = directions(observations, counted)
    turned = sky @ rotation_between(observations, counted).T
    return float(np.median(np.arccos(np.clip((turned * mount).sum(axis=1), -1.0, 1.0))))


def _lean_rad(observations: Sequence[Observation], counted: Counting) -> float:
    return math.acos(max(-1.0, min(1.0, float(rotation_between(observations, counted)[2, 2]))))


def _about(axis: Floats, angle: float) -> Floats:
    x, y, z = axis
    k = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    result: Floats = np.eye(3) + math.sin(angle) * k + (1.0 - math.cos(angle)) * (k @ k)
    return result


def _angle(turn: Floats) -> float:
    return math.acos(max(-1.0, min(1.0, (float(np.trace(turn)) - 1.0) / 2.0)))
