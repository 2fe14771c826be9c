"""How old messages are by the UTC that their senders wrote into them, which need not be ours."""

from __future__ import annotations

from typing import Final

from controller.bus.envelope import Envelope
from hal.clock import NS, Clock
from hal.utc_watch import UtcWatch

SAME_CLOCK_NS: Final = 5 * NS  # a smaller delay is a delay, a larger one another clock
SETTLE_NS: Final = 2 * NS  # after a step, until nothing is under way that was stamped before it


class Ages:
    """A sample's age counts from its sending: what waited in a socket is old.

    Where a sender's UTC is not ours, the smallest difference seen stands for the difference of the clocks. It ends with
    that start of the sender, and when our own UTC is set: then whatever is under way was stamped by another clock, and
    for two seconds what cannot be told is new.
    """

    def __init__(self, clock: Clock) -> None:
        self._now_ns, self._utc_ns = clock.now_ns, clock.utc_ns
        self._least: dict[str, tuple[bytes, int]] = {}  # by source: its start, our UTC minus its at the least
        self._watch = UtcWatch(clock)
        self._settled_ns = 0

    def sent_ns(self, envelope: Envelope) -> int:
        """When a message that has come now was sent, monotonic."""
        stepped = self._watch.stepped_ns()
        now_ns, utc_ns = self._now_ns(), self._utc_ns()
        if stepped:
            self._least.clear()
            self._settled_ns = now_ns + SETTLE_NS
        since_ns = utc_ns - envelope.t
        if now_ns < self._settled_ns:
            return now_ns - since_ns if 0 <= since_ns < SAME_CLOCK_NS else now_ns
        boot, least_ns = self._least.get(envelope.src, (envelope.boot, since_ns))
        least_ns = min(since_ns, least_ns) if boot == envelope.boot else since_ns
        self._least[envelope.src] = envelope.boot, least_ns
        return now_ns - (since_ns if 0 <= least_ns < SAME_CLOCK_NS else since_ns - least_ns)

    def apart_ns(self, source: str) -> int:
        """Our UTC minus that of a source; 0 where these are one clock, or nothing has come."""
        _, least_ns = self._least.get(source, (b"", 0))
        return 0 if 0 <= least_ns < SAME_CLOCK_NS else least_ns
