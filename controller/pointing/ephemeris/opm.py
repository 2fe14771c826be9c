"""CCSDS orbit parameter messages: one state, carried on by the Earth's attraction and its flattening.

Nothing else is modelled (no drag, no Moon), so the reach is an orbit or so after injection: until the first element
set of a launch is published. Its error is said in the notes, as growth of what was left out.
"""

from __future__ import annotations

import math

import numpy as np

from controller.geometry.solar_system import EARTH
from controller.geometry.timescales import Floats, utc_ns_of_tai
from controller.pointing.ephemeris.covariance import CORNER, REST, read_covariances
from controller.pointing.ephemeris.ephemeris import NS, EphemerisError, Frame
from controller.pointing.ephemeris.epochs import check_scale, parse_epoch, to_tai_ns
from controller.pointing.ephemeris.frames import axes_of, centre_of
from controller.pointing.ephemeris.interpolation import Method, Part
from controller.pointing.ephemeris.ndm import Item, fields_of, read_items, required
from controller.pointing.ephemeris.table import Table
from controller.pointing.ephemeris.text import number

MU_M3_S2 = 3.986004418e14
RADIUS_M, J2 = 6_378_137.0, 1.0826264e-3
STEP_S, REACH_S = 10.0, 21_600.0
DISTANCE_MAX_M, SPEED_MAX_M_S = 1e9, 1e5  # beyond is another centre's, or other units
AGE_MAX_DAYS = 0.1  # a low orbit's drag alone makes 100 m by then
CAUTION = (
    "{name} is one state, carried on for {hours:g} h by the Earth's attraction and flattening alone: expect a "
    "kilometre along the track after an orbit at 400 km."
)
STATE = ("X", "Y", "Z", "X_DOT", "Y_DOT", "Z_DOT")
KEYS = (
    *("CCSDS_OPM_VERS", "CLASSIFICATION", "CREATION_DATE", "ORIGINATOR", "MESSAGE_ID", "OBJECT_NAME", "OBJECT_ID"),
    *("CENTER_NAME", "REF_FRAME", "REF_FRAME_EPOCH", "TIME_SYSTEM", "EPOCH", *STATE),
    *("SEMI_MAJOR_AXIS", "ECCENTRICITY", "INCLINATION", "RA_OF_ASC_NODE", "ARG_OF_PERICENTER", "TRUE_ANOMALY"),
    *("MEAN_ANOMALY", "GM", "MASS", "SOLAR_RAD_AREA", "SOLAR_RAD_COEFF", "DRAG_AREA", "DRAG_COEFF"),
)
MANOEUVRE = "MAN_"
FRAMING = ("META_START", "META_STOP", "SEGMENT_START", "SEGMENT_STOP", "COVARIANCE_START", "COVARIANCE_STOP")


def parse_opm(text: str, source: str) -> list[Table]:
    """The target of a message. Raises EphemerisError with file and line."""
    plain: list[Item] = []
    covariance: list[Item] = []
    manoeuvres = 0
    for item in read_items(text, source):
        if item.key == "COV_REF_FRAME" or item.key in CORNER or item.key in REST:
            covariance.append(item)
        elif item.key.startswith(MANOEUVRE):
            manoeuvres += item.key == "MAN_EPOCH_IGNITION"
        elif item.key not in FRAMING:
            plain.append(item)
    found = fields_of(plain, KEYS, source)

    def need(key: str) -> Item:
        return required(found, key, source, 1)

    frame, centre, epoch = need("REF_FRAME"), need("CENTER_NAME"), need("EPOCH")
    axes = axes_of(frame.value, f"{source} line {frame.line}")
    if axes is not Frame.GCRF or centre_of(centre.value, axes, f"{source} line {centre.line}") != EARTH:
        raise EphemerisError(
            f"{source} line {frame.line}: a state is carried on about the EARTH in inertial axes (EME2000, GCRF), not "
            f"about {centre.value} in {frame.value}; get an OEM."
        )
    scale = check_scale(need("TIME_SYSTEM").value, f"{source} line {need('TIME_SYSTEM').line}")
    try:
        tai = int(to_tai_ns([parse_epoch(epoch.value)], scale)[0])
    except ValueError as error:
        raise EphemerisError(f"{source} line {epoch.line}: EPOCH: {error}.") from None
    state = np.array([number(need(key).value, key, f"{source} line {need(key).line}") for key in STATE]) * 1e3
    distance_m, speed_m_s = math.hypot(*state[:3]), math.hypot(*state[3:])
    if not (RADIUS_M <= distance_m <= DISTANCE_MAX_M and speed_m_s <= SPEED_MAX_M_S):
        raise EphemerisError(
            f"{source} line {need('X').line}: {distance_m / 1e3:.0f} km from the Earth's centre at "
            f"{speed_m_s / 1e3:.1f} km/s is no orbit about it; positions are in km, velocities in km/s."
        )
    name = need("OBJECT_NAME").value
    part = carried_on(state, tai)
    notes = [CAUTION.format(name=name, hours=REACH_S / 3600)]
    if manoeuvres:
        notes.append(f"{manoeuvres} manoeuvres of {name} are left out: look for another file after the first.")
    rows = np.array([tai]), state[None, :3], state[None, 3:]
    if covariance:
        covariance.insert(0, Item("EPOCH", epoch.value, epoch.line))
    covariances, left_out = read_covariances(covariance, scale, axes, rows, source)
    made = int(utc_ns_of_tai(np.array(tai)))
    notes += left_out
    return [
        Table(name, source, "CCSDS OPM", axes, (part,), made, AGE_MAX_DAYS, tuple(notes), EARTH, tuple(covariances))
    ]


def carried_on(state: Floats, t_tai_ns: int, reach_s: float = REACH_S) -> Part:
    """Rows from a state (6,) in metres and m/s, GCRF, integrated forward (Runge-Kutta of fourth order)."""
    count = round(reach_s / STEP_S)
    states = np.empty((count + 1, 6))
    states[0] = y = state
    for i in range(count):
        a = _rate(y)
        b = _rate(y + STEP_S / 2 * a)
        c = _rate(y + STEP_S / 2 * b)
        d = _rate(y + STEP_S * c)
        states[i + 1] = y = y + STEP_S / 6 * (a + 2 * b + 2 * c + d)
    tai = t_tai_ns + np.arange(count + 1, dtype=np.int64) * round(STEP_S * NS)
    return Part(tai, states[:, :3], states[:, 3:], Method.HERMITE, 4, int(tai[0]), int(tai[-1]))


def _rate(state: Floats) -> Floats:
    """Velocity and acceleration; the flattening's axis is taken as the ICRF's pole (0.1 degrees off in 2026)."""
    x, y, z = state[:3]
    r2 = x * x + y * y + z * z
    pull = -MU_M3_S2 / (r2 * np.sqrt(r2))
    flat = 1.5 * J2 * RADIUS_M**2 / r2
    sine2 = 5 * z * z / r2
    equator, pole = pull * (1 + flat * (1 - sine2)), pull * (1 + flat * (3 - sine2))
    return np.array([*state[3:], equator * x, equator * y, pole * z])
