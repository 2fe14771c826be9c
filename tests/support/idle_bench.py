"""A bench for lockstep tests in which nothing happens but the passing of time."""

from __future__ import annotations


class Idle:
    """A timeline without events."""

    now_ns = 0

    def next_event_ns(self) -> None:
        """None is due."""
        return

    def advance(self, to_ns: int) -> None:
        """Time passes."""
        self.now_ns = max(self.now_ns, to_ns)
