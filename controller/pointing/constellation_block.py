"""What is compiled for whole constellations: near-Earth SGP4 in lanes, and the search for passes with it.

SGP4 after Hoots & Roehrich, Spacetrack Report No. 3 (1980), with the corrections of Vallado, Crawford, Hujsak &
Kelso, AIAA 2006-6753; WGS 72. Written without branches and without libm, so that the compiler puts several
satellites into one vector register. Periods above 225 minutes (SDP4) are not here.

All of it is in one file because numba's cache looks only at the file of the outermost function. Lengths are
kilometres, times minutes from an element set's epoch, angles radians, as in the papers; vectors are TEME.

A block is one flat array: slot k of lane i is `block[k * LANES + i]`. Constant strides let the compiler see that
what it writes is never what it reads.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numba import njit

EARTH_RADIUS_KM, MU_KM3_S2 = 6378.135, 398600.8  # WGS 72
KE = 60.0 / math.sqrt(EARTH_RADIUS_KM**3 / MU_KM3_S2)  # square root of mu in earth radii and minutes
J2, J3, J4 = 0.001082616, -0.00000253881, -0.00000165597
SPEED_KM_S = EARTH_RADIUS_KM * KE / 60.0
TAU = 2.0 * math.pi
EARTH_RATE = 7.292115e-5 * 60.0  # radians a minute, where a rough one will do
DEFLECTION_RAD = 0.0034  # largest angle between the ellipsoid's normal and the direction from its centre
SLACK_KM, SLACK_RAD = 25.0, 0.004  # short periodics of the radius, and what the cull's mean orbit leaves out
PAD_MINUTES = 3.0  # by how much the cull may misplace a culmination
CULMINATED_MINUTES = 1.0e-3  # of a last secant: elevation is flat there
SETTLED_MINUTES = 1.0e-7  # of a last Newton step: the error that is left is its square

FOUND, DOUBTFUL = 0.0, 1.0  # what a candidate came to; doubtful: Newton did not settle, or the orbit ended
LANES = 32
# Slots of a satellite, in the order of a row of coefficients.
(MEAN_ANOMALY, MEAN_RATE, PERIGEE, PERIGEE_RATE, NODE, NODE_RATE, NODE_DRAG, MOTION, AXIS, ECCENTRICITY) = range(10)
(C1, D2, D3, D4, E4, E5, SIN_M0, L2, L3, L4, L5, ETA, OMEGA_DRAG, M_DRAG, M_DRAG0) = range(10, 25)
(SIN_I, COS_I, AY, XL) = range(25, 29)
COEFFICIENTS = 29
# Slots of a block behind them: time and answer; then what the search adds: site, rotation of the Earth and mask.
(T, X, Y, Z, VX, VY, VZ, VALID) = range(29, 37)
(THETA, THETA_RATE, SITE_X, SITE_Y, SITE_Z, UP_X, UP_Y, UP_Z, SIN_MASK) = range(37, 46)
(SINE, SINE_RATE, MARGIN, MARGIN_RATE, COSINE, COSINE_RATE, TURN, DISTANCE, ALIVE) = range(46, 55)
(TOP, RISE, STEP) = range(55, 58)
SLOTS = 58

# pi/2 in three parts, 33 bits each, so that whole multiples are exact; fdlibm's polynomials for sine and cosine.
_P1, _P2, _P3 = 1.57079632673412561417, 6.07710050630396597660e-11, 2.02226624879595063154e-21
_S1, _S2, _S3 = -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04
_S4, _S5, _S6 = 2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10
_C1, _C2, _C3 = 4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05
_C4, _C5, _C6 = -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11


@njit(inline="always")
def _sincos_small(x):  # type: ignore[no-untyped-def]  # numba
    """Sine and cosine within a quarter turn of zero."""
    z = x * x
    sine = x + x * z * (_S1 + z * (_S2 + z * (_S3 + z * (_S4 + z * (_S5 + z * _S6)))))
    cosine = 1.0 - 0.5 * z + z * z * (_C1 + z * (_C2 + z * (_C3 + z * (_C4 + z * (_C5 + z * _C6)))))
    return sine, cosine


@njit(inline="always")
def _sincos_tiny(x):  # type: ignore[no-untyped-def]  # numba
    """Sine and cosine within 0.01 of zero, to 1e-15."""
    z = x * x
    return x * (1.0 - z * (1.0 / 6.0 - z * (1.0 / 120.0))), 1.0 - z * (0.5 - z * (1.0 / 24.0))


@njit(inline="always")
def _sincos(x):  # type: ignore[no-untyped-def]  # numba
    """Sine and cosine of any angle below a million turns."""
    quarter = np.floor(x * (2.0 / math.pi) + 0.5)
    sine, cosine = _sincos_small(((x - quarter * _P1) - quarter * _P2) - quarter * _P3)
    half = np.floor(quarter * 0.5)
    odd = quarter - 2.0 * half
    sign = 1.0 - 2.0 * (half - 2.0 * np.floor(half * 0.5))
    even = 1.0 - odd
    return sign * (even * sine + odd * cosine), sign * (even * cosine - odd * sine)


@njit(cache=True, error_model="numpy")
def initialise(elements, out):  # type: ignore[no-untyped-def]  # numba
    """Rows of coefficients from rows of mean elements.

    Elements (n, 7): inclination, node, eccentricity, argument of perigee, mean anomaly (radians), mean motion as
    element sets have it (radians a minute), drag term (per earth radius). Out (n, COEFFICIENTS).
    """
    for row in range(elements.shape[0]):
        inclination, node, e, perigee, anomaly, motion, drag = elements[row]
        sin_i, cos_i = math.sin(inclination), math.cos(inclination)
        cos2, e2 = cos_i * cos_i, e * e
        beta2 = 1.0 - e2
        beta = math.sqrt(beta2)
        con41, con42, sin2 = 3.0 * cos2 - 1.0, 1.0 - 5.0 * cos2, 1.0 - cos2
        # Mean motion and axis of Brouwer's theory out of Kozai's.
        a1 = (KE / motion) ** (2.0 / 3.0)
        first = 0.75 * J2 * con41 / (beta * beta2)
        delta = first / (a1 * a1)
        a0 = a1 * (1.0 - delta * delta - delta * (1.0 / 3.0 + 134.0 * delta * delta / 81.0))
        n = motion / (1.0 + first / (a0 * a0))
        a = (KE / n) ** (2.0 / 3.0)
        p2 = (a * beta2) ** 2
        # The density's power law starts lower for low perigees.
        height_km = (a * (1.0 - e) - 1.0) * EARTH_RADIUS_KM
        low_km = 20.0 if height_km < 98.0 else (height_km - 78.0 if height_km < 156.0 else 78.0)
        q4 = ((120.0 - low_km) / EARTH_RADIUS_KM) ** 4
        s = low_km / EARTH_RADIUS_KM + 1.0
        xi = 1.0 / (a - s)
        eta = a * e * xi
        eta2, e_eta = eta * eta, e * eta
        psi2 = abs(1.0 - eta2)
        coef = q4 * xi**4
        coef1 = coef / psi2**3.5
        j2_xi = J2 * xi / psi2
        c2 = n * coef1 * (
            a * (1.0 + 1.5 * eta2 + e_eta * (4.0 + eta2)) + 0.375 * j2_xi * con41 * (8.0 + 3.0 * eta2 * (8.0 + eta2))
        )  # fmt: skip
        c1 = drag * c2
        c3 = -2.0 * coef * xi * (J3 / J2) * n * sin_i / e if e > 1.0e-4 else 0.0
        short = -3.0 * con41 * (1.0 - 2.0 * e_eta + eta2 * (1.5 - 0.5 * e_eta))
        long = 0.75 * sin2 * (2.0 * eta2 - e_eta * (1.0 + eta2)) * math.cos(2.0 * perigee)
        c4 = 2.0 * n * coef1 * a * beta2 * (
            eta * (2.0 + 0.5 * eta2) + e * (0.5 + 2.0 * eta2) - j2_xi / a * (short + long)
        )  # fmt: skip
        c5 = 2.0 * coef1 * a * beta2 * (1.0 + 2.75 * (eta2 + e_eta) + e_eta * eta2)
        # Secular rates of J2, J2 squared and J4.
        cos4 = cos2 * cos2
        k2 = 1.5 * J2 / p2 * n
        k22 = 0.5 * k2 * J2 / p2
        k4 = -0.46875 * J4 / (p2 * p2) * n
        out[row, MEAN_RATE] = n + 0.5 * k2 * beta * con41 + 0.0625 * k22 * beta * (13.0 - 78.0 * cos2 + 137.0 * cos4)
        out[row, PERIGEE_RATE] = (
            -0.5 * k2 * con42
            + 0.0625 * k22 * (7.0 - 114.0 * cos2 + 395.0 * cos4)
            + k4 * (3.0 - 36.0 * cos2 + 49.0 * cos4)
        )
        node_j2 = -k2 * cos_i
        out[row, NODE_RATE] = node_j2 + (0.5 * k22 * (4.0 - 19.0 * cos2) + 2.0 * k4 * (3.0 - 7.0 * cos2)) * cos_i
        out[row, MEAN_ANOMALY], out[row, PERIGEE], out[row, NODE] = anomaly, perigee, node
        out[row, MOTION], out[row, AXIS], out[row, ECCENTRICITY] = n, a, e
        out[row, NODE_DRAG] = 3.5 * beta2 * node_j2 * c1
        out[row, C1], out[row, E4], out[row, L2] = c1, drag * c4, 1.5 * c1
        out[row, SIN_M0], out[row, ETA] = math.sin(anomaly), eta
        out[row, M_DRAG0] = (1.0 + eta * math.cos(anomaly)) ** 3
        out[row, SIN_I], out[row, COS_I], out[row, AY] = sin_i, cos_i, -0.5 * (J3 / J2) * sin_i
        divisor = 1.0 + cos_i if abs(1.0 + cos_i) > 1.5e-12 else 1.5e-12
        out[row, XL] = -0.25 * (J3 / J2) * sin_i * (3.0 + 5.0 * cos_i) / divisor
        # With a perigee below 220 km drag is a parabola only.
        whole = 0.0 if height_km < 220.0 else 1.0
        d2 = 4.0 * a * xi * c1 * c1
        d3 = (17.0 * a + s) * d2 * xi * c1 / 3.0
        d4 = 0.5 * d2 * xi * c1 / 3.0 * a * xi * (221.0 * a + 31.0 * s) * c1
        out[row, D2], out[row, D3], out[row, D4] = whole * d2, whole * d3, whole * d4
        out[row, L3] = whole * (d2 + 2.0 * c1 * c1)
        out[row, L4] = whole * 0.25 * (3.0 * d3 + c1 * (12.0 * d2 + 10.0 * c1 * c1))
        out[row, L5] = whole * 0.2 * (
            3.0 * d4 + 12.0 * c1 * d3 + 6.0 * d2 * d2 + 15.0 * c1 * c1 * (2.0 * d2 + c1 * c1)
        )  # fmt: skip
        out[row, E5] = whole * drag * c5
        out[row, OMEGA_DRAG] = whole * drag * c3 * math.cos(perigee)
        out[row, M_DRAG] = whole * (-2.0 / 3.0) * coef * drag / e_eta if e > 1.0e-4 else 0.0


@njit(error_model="numpy", fastmath={"contract"})
def _propagate(block):  # type: ignore[no-untyped-def]  # numba
    """Position (km) and velocity (km/s) of every lane at its time; VALID is 0 where the orbit has ended."""
    for i in range(LANES):
        t = block[T * LANES + i]
        e0, n0 = block[ECCENTRICITY * LANES + i], block[MOTION * LANES + i]
        eta = block[ETA * LANES + i]
        # Secular gravity and drag.
        anomaly = block[MEAN_ANOMALY * LANES + i] + block[MEAN_RATE * LANES + i] * t
        _, cos_m = _sincos(anomaly)
        swing = 1.0 + eta * cos_m
        shift = block[OMEGA_DRAG * LANES + i] * t + block[M_DRAG * LANES + i] * (
            swing * swing * swing - block[M_DRAG0 * LANES + i]
        )
        anomaly += shift
        perigee = block[PERIGEE * LANES + i] + block[PERIGEE_RATE * LANES + i] * t - shift
        node = block[NODE * LANES + i] + t * (block[NODE_RATE * LANES + i] + block[NODE_DRAG * LANES + i] * t)
        shrink = 1.0 - t * (
            block[C1 * LANES + i]
            + t * (block[D2 * LANES + i] + t * (block[D3 * LANES + i] + t * block[D4 * LANES + i]))
        )
        sin_m, _ = _sincos(anomaly)
        e = e0 - block[E4 * LANES + i] * t - block[E5 * LANES + i] * (sin_m - block[SIN_M0 * LANES + i])
        good = 1.0 if (e < 1.0 and e >= -0.001 and shrink > 0.0) else 0.0
        e = max(e, 1.0e-6)
        a = block[AXIS * LANES + i] * shrink * shrink
        root = math.sqrt(a)
        n = 1.0 / (a * root)  # in units of KE
        along = anomaly + n0 * t * t * (
            block[L2 * LANES + i]
            + t * (block[L3 * LANES + i] + t * (block[L4 * LANES + i] + t * block[L5 * LANES + i]))
        )
        # Long periodics of J3.
        sin_w, cos_w = _sincos(perigee)
        ax = e * cos_w
        long = 1.0 / (a * (1.0 - e * e))
        ay = e * sin_w + long * block[AY * LANES + i]
        # Kepler's equation: three Newton steps that turn the sines along, each with as many terms as it needs.
        sin_u, cos_u = _sincos(along + perigee + long * block[XL * LANES + i] * ax)
        first = (ax * sin_u - ay * cos_u) / (1.0 - ax * cos_u - ay * sin_u)
        sin_d, cos_d = _sincos_small(first)
        sin_e, cos_e = sin_u * cos_d + cos_u * sin_d, cos_u * cos_d - sin_u * sin_d
        second = (ax * sin_e - ay * cos_e - first) / (1.0 - ax * cos_e - ay * sin_e)
        sin_d, cos_d = _sincos_tiny(second)
        sin_e, cos_e = sin_e * cos_d + cos_e * sin_d, cos_e * cos_d - sin_e * sin_d
        third = (ax * sin_e - ay * cos_e - first - second) / (1.0 - ax * cos_e - ay * sin_e)
        sin_e, cos_e = sin_e + cos_e * third, cos_e - sin_e * third
        # Short periodics of J2.
        e_cos, e_sin = ax * cos_e + ay * sin_e, ax * sin_e - ay * cos_e
        e2 = ax * ax + ay * ay
        p = a * (1.0 - e2)
        beta = math.sqrt(1.0 - e2)
        over = 1.0 / (1.0 - e_cos)  # a / r
        part = e_sin / (1.0 + beta)
        sin_u, cos_u = over * (sin_e - ay - ax * part), over * (cos_e - ax + ay * part)
        sin_2u, cos_2u = 2.0 * sin_u * cos_u, 1.0 - 2.0 * sin_u * sin_u
        over_p = 1.0 / p
        k1 = 0.5 * J2 * over_p
        k2 = k1 * over_p
        sin_i, cos_i = block[SIN_I * LANES + i], block[COS_I * LANES + i]
        cos2 = cos_i * cos_i
        sin2, con41 = 1.0 - cos2, 3.0 * cos2 - 1.0
        radius = a * (1.0 - e_cos) * (1.0 - 1.5 * k2 * beta * con41) + 0.5 * k1 * sin2 * cos_2u
        sin_d, cos_d = _sincos_tiny(-0.25 * k2 * (7.0 * cos2 - 1.0) * sin_2u)
        sin_u, cos_u = sin_u * cos_d + cos_u * sin_d, cos_u * cos_d - sin_u * sin_d
        sin_o, cos_o = _sincos(node + 1.5 * k2 * cos_i * sin_2u)
        sin_d, cos_d = _sincos_tiny(1.5 * k2 * cos_i * sin_i * cos_2u)
        sin_i, cos_i = sin_i * cos_d + cos_i * sin_d, cos_i * cos_d - sin_i * sin_d
        speed = over / root  # square root of a, over r
        radial = speed * e_sin - n * k1 * sin2 * sin_2u
        across = speed * beta + n * k1 * (sin2 * cos_2u + 1.5 * con41)
        # Orientation.
        mx, my = -sin_o * cos_i, cos_o * cos_i
        ux, uy, uz = mx * sin_u + cos_o * cos_u, my * sin_u + sin_o * cos_u, sin_i * sin_u
        wx, wy, wz = mx * cos_u - cos_o * sin_u, my * cos_u - sin_o * sin_u, sin_i * cos_u
        block[X * LANES + i] = radius * ux * EARTH_RADIUS_KM
        block[Y * LANES + i] = radius * uy * EARTH_RADIUS_KM
        block[Z * LANES + i] = radius * uz * EARTH_RADIUS_KM
        block[VX * LANES + i] = (radial * ux + across * wx) * SPEED_KM_S
        block[VY * LANES + i] = (radial * uy + across * wy) * SPEED_KM_S
        block[VZ * LANES + i] = (radial * uz + across * wz) * SPEED_KM_S
        block[VALID * LANES + i] = good if (p >= 0.0 and radius >= 1.0) else 0.0


@njit(cache=True, error_model="numpy")
def propagate(coefficients, which, minutes, states):  # type: ignore[no-untyped-def]  # numba
    """States (m, 6) in km and km/s of satellites `which` (m) at `minutes` (m) from their epochs; NaN after decay.

    Fastest where times of one satellite follow each other.
    """
    block = np.zeros(SLOTS * LANES)
    loaded = np.full(LANES, -1)
    for start in range(0, which.shape[0], LANES):
        used = min(LANES, which.shape[0] - start)
        for i in range(LANES):
            row = start + min(i, used - 1)  # lanes to spare repeat the last one
            block[T * LANES + i] = minutes[row]
            if loaded[i] != which[row]:
                loaded[i] = which[row]
                for k in range(COEFFICIENTS):
                    block[k * LANES + i] = coefficients[which[row], k]
        _propagate(block)
        for i in range(used):
            good = block[VALID * LANES + i] > 0.0
            for k in range(6):
                states[start + i, k] = block[(X + k) * LANES + i] if good else np.nan


@njit(error_model="numpy", fastmath={"contract"})
def _look(block):  # type: ignore[no-untyped-def]  # numba
    """What a site sees of every lane: sine of elevation, height over the mask's cone, angle from the zenith's foot.

    Rates are per minute, in the frame that turns with the Earth.
    """
    for i in range(LANES):
        sin_g, cos_g = _sincos(block[THETA * LANES + i] + block[THETA_RATE * LANES + i] * block[T * LANES + i])
        turn = block[THETA_RATE * LANES + i]
        x, y, z = block[X * LANES + i], block[Y * LANES + i], block[Z * LANES + i]
        vx = block[VX * LANES + i] * 60.0 + turn * y
        vy = block[VY * LANES + i] * 60.0 - turn * x
        vz = block[VZ * LANES + i] * 60.0
        site_x, site_y = block[SITE_X * LANES + i], block[SITE_Y * LANES + i]
        up_x, up_y, up_z = block[UP_X * LANES + i], block[UP_Y * LANES + i], block[UP_Z * LANES + i]
        up_x, up_y = cos_g * up_x - sin_g * up_y, sin_g * up_x + cos_g * up_y
        dx = x - (cos_g * site_x - sin_g * site_y)
        dy = y - (sin_g * site_x + cos_g * site_y)
        dz = z - block[SITE_Z * LANES + i]
        distance = math.sqrt(dx * dx + dy * dy + dz * dz)
        over = 1.0 / distance
        distance_rate = (dx * vx + dy * vy + dz * vz) * over
        up, up_rate = dx * up_x + dy * up_y + dz * up_z, vx * up_x + vy * up_y + vz * up_z
        mask = block[SIN_MASK * LANES + i]
        block[SINE * LANES + i] = up * over
        block[SINE_RATE * LANES + i] = (up_rate - up * over * distance_rate) * over
        block[MARGIN * LANES + i] = up - mask * distance
        block[MARGIN_RATE * LANES + i] = up_rate - mask * distance_rate
        radius2 = x * x + y * y + z * z
        over_r = 1.0 / math.sqrt(radius2)
        radial = (x * vx + y * vy + z * vz) * over_r
        cosine = (x * up_x + y * up_y + z * up_z) * over_r
        block[COSINE * LANES + i] = cosine
        block[COSINE_RATE * LANES + i] = (up_rate - cosine * radial) * over_r
        block[TURN * LANES + i] = math.sqrt(max(vx * vx + vy * vy + vz * vz - radial * radial, 0.0)) * over_r
        block[DISTANCE * LANES + i] = radius2 * over_r
        block[ALIVE * LANES + i] *= block[VALID * LANES + i]


@njit(error_model="numpy")
def _culminate(block):  # type: ignore[no-untyped-def]  # numba
    """Move T to where elevation is highest: two steps on the angle at the Earth's centre, then secants."""
    for _ in range(2):
        _propagate(block)
        _look(block)
        for i in range(LANES):
            turn = block[TURN * LANES + i]
            block[STEP * LANES + i] = block[COSINE_RATE * LANES + i] / (block[COSINE * LANES + i] * turn * turn)
            block[T * LANES + i] += block[STEP * LANES + i]
            block[RISE * LANES + i] = block[SINE_RATE * LANES + i]
    for _ in range(3):
        _propagate(block)
        _look(block)
        for i in range(LANES):
            before, now, step = block[RISE * LANES + i], block[SINE_RATE * LANES + i], block[STEP * LANES + i]
            block[STEP * LANES + i] = -now * step / (now - before) if abs(step) > 1.0e-9 and now != before else 0.0
            block[T * LANES + i] += block[STEP * LANES + i]
            block[RISE * LANES + i] = now
    for i in range(LANES):
        block[TOP * LANES + i] = block[T * LANES + i]
        block[SINE * LANES + i] += 0.5 * block[SINE_RATE * LANES + i] * block[STEP * LANES + i]


@njit(error_model="numpy")
def _cross(block):  # type: ignore[no-untyped-def]  # numba
    """Move T to where the mask is crossed, by Newton; STEP keeps the last step."""
    for _ in range(4):
        _propagate(block)
        _look(block)
        for i in range(LANES):
            block[STEP * LANES + i] = -block[MARGIN * LANES + i] / block[MARGIN_RATE * LANES + i]
            block[T * LANES + i] += block[STEP * LANES + i]


@njit(inline="always")
def _cos_central(ratio, sine):  # type: ignore[no-untyped-def]  # numba
    """Cosine of the angle at the Earth's centre between site and satellite.

    From the sine of elevation and the ratio of the two distances from the centre.
    """
    cos2 = 1.0 - sine * sine
    return ratio * cos2 + sine * math.sqrt(max(1.0 - ratio * ratio * cos2, 0.0))


@njit(error_model="numpy")
def _refine(block, lanes, used, found, count):  # type: ignore[no-untyped-def]  # numba
    """Append to `found` what the first `used` candidates of a block come to. Returns the new count."""
    for i in range(used, LANES):  # lanes to spare repeat the first one
        for k in range(SLOTS):
            block[k * LANES + i] = block[k * LANES]
    _culminate(block)
    sines, culminated, risen = np.empty(LANES), np.empty(LANES, dtype=np.bool_), np.empty(LANES, dtype=np.bool_)
    for i in range(LANES):
        sines[i] = block[SINE * LANES + i]
        culminated[i] = block[ALIVE * LANES + i] > 0.0 and abs(block[STEP * LANES + i]) < CULMINATED_MINUTES
        site = math.sqrt(
            block[SITE_X * LANES + i] ** 2 + block[SITE_Y * LANES + i] ** 2 + block[SITE_Z * LANES + i] ** 2
        )
        ratio = site / block[DISTANCE * LANES + i]
        edge, highest = _cos_central(ratio, block[SIN_MASK * LANES + i]), _cos_central(ratio, sines[i])
        half = math.acos(min(edge / highest, 1.0)) / block[TURN * LANES + i]  # of an arc through the culmination
        block[T * LANES + i] = block[TOP * LANES + i] - half
    _cross(block)
    for i in range(LANES):
        risen[i] = abs(block[STEP * LANES + i]) < SETTLED_MINUTES
        block[RISE * LANES + i] = block[T * LANES + i]
        block[T * LANES + i] = 2.0 * block[TOP * LANES + i] - block[T * LANES + i]
    _cross(block)
    for i in range(used):
        rise, top, fall = block[RISE * LANES + i], block[TOP * LANES + i], block[T * LANES + i]
        if culminated[i] and sines[i] <= block[SIN_MASK * LANES + i]:
            continue
        settled = culminated[i] and risen[i] and abs(block[STEP * LANES + i]) < SETTLED_MINUTES
        settled = settled and block[ALIVE * LANES + i] > 0.0 and rise < top < fall
        found[count, 0], found[count, 1] = lanes[i, 0], lanes[i, 1]
        found[count, 2], found[count, 3], found[count, 4], found[count, 5] = rise, top, fall, sines[i]
        found[count, 6] = FOUND if settled else DOUBTFUL
        count += 1
    return count


@njit(cache=True, error_model="numpy")
def search(coefficients, first, epochs, starts, span, earth, knot, sites, sin_masks, found):  # type: ignore[no-untyped-def]  # numba
    """Passes of satellites over sites whose culmination lies in a span. Returns (satellites done, rows found).

    Args:
        coefficients: (n, COEFFICIENTS) from `initialise`.
        first: the satellite to begin with.
        epochs: (n) each satellite's epoch, minutes of the caller's scale.
        starts: (n) where each satellite's span begins, minutes of the same scale.
        span: length of the span, minutes.
        earth: (j, 2) GMST at the beginning of each interval of `knot` minutes, radians, and its rate per minute.
        knot: length of such an interval, minutes.
        sites: (j, m, 6) position (km) and geodetic vertical of the sites, turned by polar motion only.
        sin_masks: (m) sine of each site's elevation mask.
        found: (rows, 7) to fill: satellite, site, rise, culmination, set (minutes), sine of the highest elevation,
            FOUND or DOUBTFUL. Ends early when there may be no room for another satellite.
    """
    block = np.zeros(SLOTS * LANES)
    lanes = np.empty((LANES, 2), dtype=np.int64)
    used, count = 0, 0
    satellite = first
    while satellite < coefficients.shape[0]:
        c = coefficients[satellite]
        begin, end = starts[satellite] - PAD_MINUTES, starts[satellite] + span + PAD_MINUTES
        rate = c[MEAN_RATE] + c[PERIGEE_RATE]
        room = int((span + 2.0 * PAD_MINUTES) * rate / TAU * 1.5 + 4.0) * sites.shape[1]
        if count + used + room > found.shape[0]:
            break
        shrink = max(1.0 - c[C1] * (begin - epochs[satellite]), 1.0 - c[C1] * (end - epochs[satellite]))
        apogee = c[AXIS] * shrink * shrink * (1.0 + c[ECCENTRICITY]) * EARTH_RADIUS_KM + SLACK_KM
        period = TAU / (rate - EARTH_RATE * c[COS_I])
        for site in range(sites.shape[1]):
            place = sites[0, site]
            radius = math.sqrt(place[0] * place[0] + place[1] * place[1] + place[2] * place[2])
            mask = max(math.asin(sin_masks[site]) - DEFLECTION_RAD, -1.5)
            reach = math.acos(min(radius * math.cos(mask) / apogee, 1.0)) - mask + SLACK_RAD
            limit = math.sin(reach) if reach < 0.5 * math.pi else 2.0
            t = begin
            forward = True
            while t < end:
                near = True
                for _ in range(4):
                    age = t - epochs[satellite]
                    interval = min(max(int(t / knot), 0), earth.shape[0] - 1)
                    theta = earth[interval, 0] + earth[interval, 1] * (t - interval * knot)
                    node = c[NODE] + age * (c[NODE_RATE] + c[NODE_DRAG] * age)
                    east = theta - node  # of the node: where the site's meridian frame is
                    x, y, z = sites[interval, site, 3], sites[interval, site, 4], sites[interval, site, 5]
                    sin_g, cos_g = math.sin(east), math.cos(east)
                    ahead, side = cos_g * x - sin_g * y, sin_g * x + cos_g * y
                    off = side * -c[SIN_I] + z * c[COS_I]
                    along = math.atan2(side * c[COS_I] + z * c[SIN_I], ahead)
                    anomaly = c[MEAN_ANOMALY] + c[MEAN_RATE] * age
                    e = c[ECCENTRICITY]
                    latitude = (
                        anomaly + c[PERIGEE] + c[PERIGEE_RATE] * age
                        + c[MOTION] * age * age * (c[L2] + age * (c[L3] + age * (c[L4] + age * c[L5])))
                        + e * (2.0 * math.sin(anomaly) + 1.25 * e * math.sin(2.0 * anomaly))
                    )  # fmt: skip
                    gap = along - latitude
                    gap -= TAU * math.floor(gap / TAU + 0.5)
                    if forward and gap < 0.0:
                        gap += TAU
                    forward = False
                    t += gap / rate
                    if abs(off) > limit + 0.08 * abs(gap):
                        near = False
                        break
                    if abs(gap) < 0.002:
                        break
                if near and t < end:
                    for k in range(COEFFICIENTS):
                        block[k * LANES + used] = c[k]
                    block[T * LANES + used] = t - epochs[satellite]
                    block[THETA * LANES + used] = earth[interval, 0] + earth[interval, 1] * (
                        epochs[satellite] - interval * knot
                    )
                    block[THETA_RATE * LANES + used] = earth[interval, 1]
                    for k in range(6):
                        block[(SITE_X + k) * LANES + used] = sites[interval, site, k]
                    block[SIN_MASK * LANES + used] = sin_masks[site]
                    block[ALIVE * LANES + used] = 1.0
                    lanes[used, 0], lanes[used, 1] = satellite, site
                    used += 1
                    if used == LANES:
                        count = _refine(block, lanes, used, found, count)
                        used = 0
                t += period
        satellite += 1
    if used:
        count = _refine(block, lanes, used, found, count)
    for row in range(count):
        epoch = epochs[int(found[row, 0])]
        for k in range(2, 5):
            found[row, k] += epoch
    return satellite, count


def compiled_before() -> bool:
    """Whether this machine holds all of it ready; else the first call compiles for the better part of a minute."""
    folder = Path(search.stats.cache_path or "")  # one file, one folder
    names = ("initialise", "propagate", "search")
    return all(any(folder.glob(f"constellation_block.{name}-*.nbi")) for name in names)
