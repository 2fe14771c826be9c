"""A list of states as CSV: an ascent, a departure from a mass driver, anything that nobody has a format for.

The heading names columns: `t_utc`, then `x_m,y_m,z_m` (or `latitude_deg,longitude_deg,height_m`), if known
`vx_m_s,vy_m_s,vz_m_s`, and `sigma_m`, one standard deviation each way, which may grow from row to row. A line
`# frame = ITRF`, GCRF or TEME before it says the axes (ITRF when there is none), `# name = ...` the target.
"""

from __future__ import annotations

import csv
import math

import erfa
import numpy as np

from controller.geometry.frames import WGS84
from controller.geometry.timescales import Floats
from controller.pointing.ephemeris.ephemeris import EphemerisError, Frame, nearest
from controller.pointing.ephemeris.epochs import Epoch, parse_epoch, to_tai_ns
from controller.pointing.ephemeris.frames import axes_of
from controller.pointing.ephemeris.interpolation import Method
from controller.pointing.ephemeris.table import Covariance, Table, error_notes, split
from controller.pointing.ephemeris.text import number

PLACE, GEODETIC = ("x_m", "y_m", "z_m"), ("latitude_deg", "longitude_deg", "height_m")
VELOCITY, SIGMA, TIME = ("vx_m_s", "vy_m_s", "vz_m_s"), "sigma_m", "t_utc"
COLUMNS = (TIME, *PLACE, *GEODETIC, *VELOCITY, SIGMA)
SETTINGS = ("frame", "name")
POINTS = 4  # an ascent has stagings: few rows, so that their kinks stay local


def parse_states(text: str, source: str) -> list[Table]:
    """The target of a list. Raises EphemerisError with file and line."""
    settings: dict[str, str] = {}
    head: list[str] = []
    epochs: list[Epoch] = []
    rows: list[list[float]] = []
    axes = Frame.ITRF
    for line, raw in enumerate(text.splitlines(), start=1):
        where = f"{source} line {line}"
        if raw.startswith("#"):
            axes = _setting(raw, settings, axes, where)
        elif not raw.strip():
            continue
        elif not head:
            head = _head(raw, where)
        else:
            words = [word.strip() for word in next(csv.reader([raw]))]
            if len(words) != len(head):
                raise EphemerisError(f"{where}: {len(words)} values under {len(head)} headings.")
            row = dict(zip(head, words, strict=True))
            epochs.append(_epoch(row[TIME], where))
            rows.append([number(row[name], name, where) for name in head if name != TIME])
    if len(rows) < 2:
        raise EphemerisError(f"{source} holds {len(rows)} states; two at least are needed.")
    names = [name for name in head if name != TIME]
    return [_table(settings.get("name", "states"), source, axes, epochs, names, np.array(rows))]


def is_states(text: str) -> bool:
    """Whether the first line that is no comment is a heading of such a list."""
    first = next((line for line in text[:4000].splitlines() if line.strip() and not line.startswith("#")), "")
    return TIME in [word.strip() for word in first.split(",")]


def _table(name: str, source: str, axes: Frame, epochs: list[Epoch], names: list[str], values: Floats) -> Table:
    tai = to_tai_ns(epochs, "UTC")
    if np.any(np.diff(tai) <= 0):
        raise EphemerisError(f"{source}: row {int(np.argmax(np.diff(tai) <= 0)) + 2} is not later than the one before.")

    def columns(wanted: tuple[str, ...]) -> Floats:
        return values[:, [names.index(n) for n in wanted]]

    if PLACE[0] in names:
        position = columns(PLACE)
    else:
        latitude, longitude, height = columns(GEODETIC).T
        position = erfa.gd2gc(WGS84, np.radians(longitude), np.radians(latitude), height)
    velocity = columns(VELOCITY) if VELOCITY[0] in names else None
    sigmas = columns((SIGMA,))[:, 0] if SIGMA in names else np.zeros(0)
    covariances = [Covariance(int(t), np.eye(3) * s**2) for t, s in zip(tai, sigmas, strict=False)]
    method = Method.LAGRANGE if velocity is None else Method.HERMITE
    parts, notes = split(name, tai, position, velocity, method, POINTS)
    notes += error_notes(parts, name)
    return Table(
        name, source, "list of states", axes, tuple(parts), 0, math.inf, tuple(notes), covariances=tuple(covariances)
    )


def _setting(raw: str, settings: dict[str, str], axes: Frame, where: str) -> Frame:
    key, equals, value = raw.lstrip("# ").partition("=")
    if not equals:
        return axes
    key, value = key.strip().lower(), value.strip()
    if key not in SETTINGS:
        raise EphemerisError(f"{where}: {key} is no setting of a list of states; {nearest(key, list(SETTINGS))}")
    settings[key] = value
    return axes_of(value, where) if key == "frame" else axes


def _head(raw: str, where: str) -> list[str]:
    head = [word.strip() for word in raw.split(",")]
    for word in head:
        if word not in COLUMNS:
            raise EphemerisError(f"{where}: {word} is no column of a list of states; {nearest(word, list(COLUMNS))}")
    for group in (VELOCITY, PLACE if any(w in head for w in PLACE) else GEODETIC):
        lacking = [name for name in group if name not in head]
        if lacking and (group is not VELOCITY or len(lacking) < 3):
            raise EphemerisError(f"{where}: the heading lacks {', '.join(lacking)}.")
    if TIME not in head or len(set(head)) != len(head):
        raise EphemerisError(f"{where}: the heading needs {TIME}, and no column twice.")
    return head


def _epoch(text: str, where: str) -> Epoch:
    try:
        return parse_epoch(text)
    except ValueError as error:
        raise EphemerisError(f"{where}: {TIME}: {error}.") from None
