"""The beam board as the tracking loop uses it: modes, set-points, point-ahead, and the work that commissions it."""

from __future__ import annotations

from collections.abc import Generator

from controller.bus.topics import Pair
from controller.tracking.commission import Commission
from hal.traits import FineLoop, FineStatus, Identity

NS = 1_000_000_000
RETRY_MAX_S = 10.0
OFTEN = 3  # refusals after which the operator should look
POINTS_A_TURN = 64


class Mirror:
    """Owns an open beam board; sends only what changes. Raises what the board raises."""

    def __init__(self, board: FineLoop, commission: Commission) -> None:
        self._board = board
        self.commission = commission
        self._mode = ""
        self._ahead: Pair | None = None
        self._work: Generator[None, None, None] | None = None
        self._refusals = 0
        self._retry_ns = 0
        board.reset()

    @property
    def identity(self) -> Identity:
        """What the board says of itself."""
        return self._board.identity

    @property
    def busy(self) -> bool:
        """A commissioning step is under way."""
        return self._work is not None

    def heartbeat(self, enable: bool) -> FineStatus:
        """Keep the board's watchdog content; `enable` is the safety service's word."""
        return self._board.heartbeat(enable)

    def reset(self) -> None:
        """Clear the board's latch, on an operator's reset only."""
        self._board.reset()
        self._mode = ""

    def use(self, mode: str) -> bool:
        """idle, setpoint or track; True when that is a change."""
        if mode == self._mode:
            return False
        self._board.set_mode(mode)
        self._mode = mode
        return True

    def follow(self, points: list[tuple[int, float, float]]) -> None:
        """Queue set-points in the mirror's frame."""
        if points and self._mode == "setpoint":
            self._board.setpoints(points[:POINTS_A_TURN])

    def aim_ahead(self, sky_rad: Pair) -> None:
        """Move the point-ahead element, in the mirror's frame as far as it is known."""
        wanted = self.commission.to_mirror(sky_rad)
        if wanted != self._ahead:
            self._board.point_ahead(*wanted)
            self._ahead = wanted

    def mean_on_sky(self, status: FineStatus) -> Pair:
        """The mirror's mean line of sight since the previous status."""
        return self.commission.to_sky(status.mirror_mean_rad)

    def closed(self, status: FineStatus) -> bool:
        """The loop is on the light."""
        return status.mode == "track" and not self.busy and 2 * status.quad_lost_ticks < max(status.ticks, 1)

    # Commissioning

    def identify(self, now_ns: int) -> None:
        """Begin the part that needs no light, once."""
        if self.commission.designs is None and self._may(now_ns):
            self._work = self.commission.dark(self._board)

    def close_loop(self, now_ns: int) -> None:
        """Begin the part that needs the beacon on the quad cell, once."""
        if not self.commission.done and self._may(now_ns):
            self._work = self.commission.light(self._board)

    def work(self) -> str:
        """One step of what is under way; returns what to tell the operator when it has ended."""
        if self._work is None:
            return ""
        self._mode = ""
        try:
            next(self._work)
        except StopIteration:
            self._work, self._refusals = None, 0
            return self.commission.told()
        return ""

    def abandon(self) -> None:
        """Drop what is under way; it starts anew when it is possible again."""
        work, self._work = self._work, None
        if work is not None:
            self._mode = ""
            work.close()

    def refused(self, now_ns: int) -> bool:
        """After a DeviceError: forget the step and wait, longer each time; False when that happens often."""
        self._work = None
        self._mode = ""
        self._refusals += 1
        self._retry_ns = now_ns + round(min(2.0 ** min(self._refusals - 1, 60), RETRY_MAX_S) * NS)
        return self._refusals < OFTEN

    def again(self) -> None:
        """A new pass: what was refused before may be tried at once."""
        self._refusals = self._retry_ns = 0

    def close(self) -> None:
        """Emission off, mirror to rest, port closed."""
        self._work = None
        self._board.close()

    def _may(self, now_ns: int) -> bool:
        return self._work is None and now_ns >= self._retry_ns
