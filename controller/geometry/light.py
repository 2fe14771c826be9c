"""Light time and the two directions of a link: where the light comes from, and where to send ours.

Both are directions in the frame of the telescope, which moves with the turning Earth. Light that arrives at t left
the target at t - tau; seen from a moving telescope it comes from where the target stood relative to the telescope
at t - tau (light time and aberration by the telescope's own motion together), with the axes of t - tau, which the
Earth has since turned by omega tau:

    receive(t)  = R3(+omega tau) (target_itrf(t - tau) - site_itrf)
    transmit(t) = R3(-omega tau) (target_itrf(t + tau) - site_itrf)

so transmit minus receive is the point-ahead angle 2 (v_target - v_telescope)_perp / c. No annual aberration enters:
target and telescope share the Earth's motion. What is left out is of second order in v/c (0.6 nrad for a LEO).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from controller.geometry.frames import EARTH_RATE_RAD_S, about_z, apply
from controller.geometry.timescales import Floats, Times

LIGHT_M_S = 299_792_458.0
STEPS = 4  # each gains a factor v/c, about 2.5e-5

Ephemeris = Callable[[Times], Floats]
"""ITRF positions (n, 3) in metres for UTC nanoseconds (n,)."""


def receive(ephemeris: Ephemeris, t_utc_ns: Times, site_itrf_m: Floats) -> Floats:
    """ITRF vectors (n, 3) to where the light that arrives at t comes from; their length is the light path."""
    return _leg(ephemeris, t_utc_ns, site_itrf_m, -1)


def transmit(ephemeris: Ephemeris, t_utc_ns: Times, site_itrf_m: Floats) -> Floats:
    """ITRF vectors (n, 3) along which light that leaves at t meets the target; their length is the light path."""
    return _leg(ephemeris, t_utc_ns, site_itrf_m, +1)


def _leg(ephemeris: Ephemeris, t_utc_ns: Times, site_itrf_m: Floats, sign: int) -> Floats:
    t = np.asarray(t_utc_ns, dtype=np.int64)
    tau_s = np.zeros(t.shape)
    for _ in range(STEPS):
        position = ephemeris(t + sign * np.round(tau_s * 1e9).astype(np.int64))
        turned = apply(about_z(-sign * EARTH_RATE_RAD_S * tau_s), position)
        tau_s = np.linalg.norm(turned - site_itrf_m, axis=-1) / LIGHT_M_S
    seen = apply(about_z(-sign * EARTH_RATE_RAD_S * tau_s), position - site_itrf_m)
    scale = LIGHT_M_S * tau_s / np.linalg.norm(seen, axis=-1)
    result: Floats = seen * scale[:, None]
    return result
