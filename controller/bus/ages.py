"""How old messages are by the UTC that their senders wrote into them, which need not be ours."""

from __future__ import annotations

from typing import Final

from controller.bus.envelope import Envelope
from hal.clock import NS, Clock
from hal.utc_watch import UtcWatch

SAME_CLOCK_NS: Final = 5 * NS  # a smaller delay is a delay, a larger one another clock
PROMPT_NS: Final = NS  # what has waited in our socket for less tells the sender's clock
SETTLE_NS: Final = 2 * NS  # after a step, until nothing is under way that was stamped before it


class Ages:
    """A sample's age counts from its sending: what waited in a socket is old.

    Where a sender's UTC is not ours, the smallest difference seen stands for the difference of the clocks. It ends with
    that start of the sender, and when our own UTC is set: then whatever is under way was stamped by another clock, and
    for two seconds what cannot be told is new.

    Whoever does not look for a while finds messages that have waited, and a message that may have waited for a minute
    does not tell a clock that is a minute behind: what it says of a sender holds until one comes that has not.
    """

    def __init__(self, clock: Clock) -> None:
        self._now_ns, self._utc_ns = clock.now_ns, clock.utc_ns
        self._least: dict[str, tuple[bytes, int]] = {}  # by source: its start, our UTC minus its at the least
        self._unsure: set[str] = set()  # whose messages have all waited
        self._empty_ns = clock.now_ns()
        self._watch = UtcWatch(clock)
        self._settled_ns = 0

    def emptied(self, since_ns: int) -> None:
        """Nothing was left in the socket at this monotonic time: what comes next has waited no longer."""
        self._empty_ns = since_ns

    def sent_ns(self, envelope: Envelope) -> int:
        """When a message that is taken now was sent, monotonic."""
        stepped = self._watch.stepped_ns()
        now_ns, utc_ns = self._now_ns(), self._utc_ns()
        if stepped:
            self._least.clear()
            self._settled_ns = now_ns + SETTLE_NS
        since_ns = utc_ns - envelope.t
        if now_ns < self._settled_ns:
            return now_ns - since_ns if 0 <= since_ns < SAME_CLOCK_NS else now_ns
        least_ns = self._least_ns(envelope.src, envelope.boot, since_ns, now_ns - self._empty_ns)
        return now_ns - (since_ns if 0 <= least_ns < SAME_CLOCK_NS else since_ns - least_ns)

    def apart_ns(self, source: str) -> int:
        """Our UTC minus that of a source; 0 where these are one clock, or nothing has come."""
        _, least_ns = self._least.get(source, (b"", 0))
        return 0 if 0 <= least_ns < SAME_CLOCK_NS else least_ns

    def sure(self, source: str) -> bool:
        """Whether `apart_ns` is from a message that has not waited."""
        return source in self._least and source not in self._unsure

    def _least_ns(self, source: str, boot: bytes, since_ns: int, waited_ns: int) -> int:
        known_boot, least_ns = self._least.get(source, (b"", 0))
        sure = boot == known_boot and source not in self._unsure
        if waited_ns < PROMPT_NS:
            least_ns = min(since_ns, least_ns) if sure else since_ns
            self._unsure.discard(source)
        elif sure:
            least_ns = min(since_ns, least_ns)
        else:
            guess_ns = 0 if 0 <= since_ns < waited_ns + SAME_CLOCK_NS else since_ns
            least_ns = min(guess_ns, least_ns) if boot == known_boot else guess_ns
            self._unsure.add(source)
        self._least[source] = boot, least_ns
        return least_ns
