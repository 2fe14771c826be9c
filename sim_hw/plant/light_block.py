"""The compiled half of a block after the mirror: where our beam falls, what the satellite does, what we receive.

All of it is in one file because numba's cache looks only at the file of the outermost function.

The cooperative terminal's detector takes frames without a gap. A frame whose mean intensity reaches that of the beam
at the capture radius has seen us; a response time later beacon and downlink go on, and they stay on for a hold time
after the last such frame. Light time there and back is added.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
INTENSITY_AT_RADIUS = math.exp(-2.0)
LIGHT_M_S = 299_792_458.0
TICKS_A_MS = 10
# State of the terminal, in ticks: light on from, on until (first, so that they can be handed on as a pair);
# intensity gathered in this frame, ticks left in it, greatest intensity since the last row of the log.
ON_FROM, ON_UNTIL, GATHERED, LEFT, GREATEST = range(5)
# Its parameters: 2/w^2 of the beam, then ticks: a frame, response, hold.
BEAM, FRAME, RESPONSE, HOLD = range(4)
# Parameters of what is received: power at relative power 1, 2/w^2 of the coupling, mirror angle called saturated,
# nominal laser power, length of a tick in seconds.
REFERENCE_W, COUPLING, SATURATED_RAD, NOMINAL_W, TICK_S = range(5)
# Columns of the log, one row a millisecond.
COARSE, TOTAL, FINE, TRANSMIT, MIRROR, RECEIVED, NOMINAL, FLAGS = 0, 2, 4, 6, 8, 10, 11, 13
COLUMNS = 14
LIT, EMITTING, ILLUMINATED, ENABLED, SATURATED = 1, 2, 4, 8, 16  # flags


@njit(cache=True)
def illuminate(
    tick: int, off_axis2: float, relative_power: float, trip_ticks: float, state: Floats, p: Floats
) -> float:
    """One tick of our beam at `off_axis2` rad^2 from the satellite; returns the intensity, 1 on axis at nominal power.

    `trip_ticks` is the light time there and back.
    """
    intensity = relative_power * math.exp(-p[BEAM] * off_axis2) if relative_power > 0.0 else 0.0
    state[GATHERED] += intensity
    state[LEFT] -= 1.0
    if state[LEFT] <= 0.0:
        if state[GATHERED] >= INTENSITY_AT_RADIUS * p[FRAME]:
            if tick >= state[ON_UNTIL]:
                state[ON_FROM] = tick + p[RESPONSE] + trip_ticks
            state[ON_UNTIL] = tick + p[HOLD] + trip_ticks
        state[GATHERED] = 0.0
        state[LEFT] = p[FRAME]
    return intensity


@njit(cache=True)
def light_block(
    first: int,
    count: int,
    ring: int,
    coarse: Floats,
    line_of_sight: Floats,
    fine: Floats,
    enable: NDArray[np.bool_],
    emitted_w: Floats,
    power: Floats,
    apart: Floats,
    ahead: Floats,
    nominal: Floats,
    range_m: Floats,
    terminal: Floats,
    terminal_p: Floats,
    p: Floats,
    transmit: Floats,
    received_w: Floats,
    log: NDArray[np.float32],
    row: int,
) -> int:
    """Ticks first ... first + count - 1 and a row of `log` for every millisecond that they end; returns the next row.

    Rings of ticks: coarse, line_of_sight, apart (., 2), fine (., 6) = residual, mirror, point-ahead; enable, emitted_w
    (by the laser if the enable line is up), power. Rings of steps: ahead, nominal (., 2), range_m. Out: transmit
    (ring, 2): transmit direction minus our beam; received_w (ring,).
    """
    for tick in range(first, first + count):
        r = tick % ring
        m = r // TICKS_A_MS
        # The beam shares everything up to the mirror with the received light, and then goes ahead of it.
        tx = fine[r, 0] + ahead[m, 0] - fine[r, 4] + apart[r, 0]
        ty = fine[r, 1] + ahead[m, 1] - fine[r, 5] + apart[r, 1]
        transmit[r, 0] = tx
        transmit[r, 1] = ty
        emitted = emitted_w[r] if enable[r] else 0.0
        trip_ticks = 2.0 * range_m[m] / (LIGHT_M_S * p[TICK_S])
        intensity = illuminate(tick, tx * tx + ty * ty, emitted / p[NOMINAL_W], trip_ticks, terminal, terminal_p)
        off2 = fine[r, 0] * fine[r, 0] + fine[r, 1] * fine[r, 1]
        received_w[r] = p[REFERENCE_W] * power[r] * math.exp(-p[COUPLING] * off2) if power[r] > 0.0 else 0.0
        terminal[GREATEST] = max(terminal[GREATEST], intensity)
        if tick % TICKS_A_MS == TICKS_A_MS - 1:
            for axis in range(2):
                log[row, COARSE + axis] = coarse[r, axis]
                log[row, TOTAL + axis] = line_of_sight[r, axis]
                log[row, FINE + axis] = fine[r, axis]
                log[row, TRANSMIT + axis] = transmit[r, axis]
                log[row, MIRROR + axis] = fine[r, 2 + axis]
                log[row, NOMINAL + axis] = coarse[r, axis] + nominal[m, axis]
            log[row, RECEIVED] = received_w[r]
            flags = LIT if power[r] > 0.0 else 0
            flags += EMITTING if emitted > 0.0 else 0
            flags += ILLUMINATED if terminal[GREATEST] >= INTENSITY_AT_RADIUS else 0
            flags += ENABLED if enable[r] else 0
            flags += SATURATED if max(abs(fine[r, 2]), abs(fine[r, 3])) >= p[SATURATED_RAD] else 0
            log[row, FLAGS] = flags
            terminal[GREATEST] = 0.0
            row += 1
    return row
