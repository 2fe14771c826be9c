"""Backlash: where in its play an axis stands, how far it follows the encoder, and from which side it is pushed."""

from __future__ import annotations

CROSSING_S = 0.35  # from one side to the other, around a reversal
PACE_S = 0.3  # the same at most for every other reason; less, so that it never holds up the first
TAKEN_UP_S = 1.5  # what the target's own motion takes up sooner is left to it
BEGIN_RAD, END_RAD = 20e-6, 4e-6  # off by more than the correction's noise; as near as it need be pushed


class Play:
    """One axis: `state` is where in its play it stands, -1 to +1, from the encoder's own travel."""

    def __init__(self) -> None:
        self._encoder: float | None = None
        self._half_width = self._lead = 0.0
        self.state = 0.0
        self.wanted: float | None = None  # where it should stand; None: nothing has moved yet
        self._pushes = False

    def update(self, encoder_rad: float, half_width_rad: float) -> float:
        """Take the next encoder angle; a model without backlash only remembers the direction."""
        if self._encoder is not None:
            moved = encoder_rad - self._encoder
            width = half_width_rad if half_width_rad > 0 else 1e-6
            self._lead = min(width, max(-width, self._lead + moved))
            self.state = self._lead / width
        self._half_width = half_width_rad
        self._encoder = encoder_rad
        return self.state

    def passes(self, encoder_travel_rad: float) -> float:
        """How far the axis will follow the encoder: not while it crosses the play."""
        if self._half_width <= 0.0:
            return encoder_travel_rad
        lead = self._lead + encoder_travel_rad
        return lead - min(self._half_width, max(-self._half_width, lead))

    def stand(self, side: float, needed_rad: float, rate_rad_s: float, turn_s: float) -> None:
        """Once a turn of the gimbal loop: move `wanted`, by which the encoder shall lead, towards where it belongs.

        That is the side of the target's motion, from which the encoder can push the axis that way alone. Where the axis
        is off the other way (`needed_rad`, positive: it should grow), and the target (`rate_rad_s`) is so slow that it
        takes long to come back to it, it is pushed from the other side until it has arrived.
        """
        off_rad = -needed_rad * side if self._half_width > 0.0 else 0.0
        begin_rad = max(BEGIN_RAD, abs(rate_rad_s) * TAKEN_UP_S)
        self._pushes = off_rad > (END_RAD if self._pushes else begin_rad)
        goal, step = -side if self._pushes else side, 2.0 * turn_s / PACE_S
        self.wanted = goal if self.wanted is None else min(self.wanted + step, max(self.wanted - step, goal))
