"""Who may command: one holder for each part of the station at a time, for as long as it keeps saying so.

The table is a value that the station turns; nothing here knows a socket. Two leases collide when one's scope contains
the other's, and of two holders when one has the laser and the other what aims it. A generation grows with every grant
and, being at least the time of the grant, over restarts, too: whoever has seen a larger one refuses a smaller one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from controller.bus.envelope import BusError, Code, Lease
from controller.bus.roles import EVENTS_SINCE
from controller.bus.topics import HeldLease
from hal.clock import NS

LEASE_KEEPER: Final = "station"  # the service with the table; it also ends a pass that outlives a lease
PARENTS: Final = {"station": "", "gimbal": "station", "camera": "station", "laser": "station"}
SCOPE_OF: Final = {"station": "station", "pointing": "gimbal", "tracking": "camera", "safety": "laser"}  # by service
AIMS: Final = frozenset({"gimbal", "camera"})  # the laser: whoever has that consents to where these point it
FREE: Final = frozenset(
    {"pointing.stop", "safety.disarm", "tracking.model", EVENTS_SINCE}
)  # in the safe direction, or only read
ENDER: Final = "supervisor"  # whoever ends the station parks it, whoever holds the lease
ENDING: Final = frozenset({"station.park"})
CONSENT: Final = frozenset({"safety.arm", "safety.confirm"})  # of the holder in person, never twice by one message
TTL_MIN_S, TTL_MAX_S = 0.5, 30.0
REASON_LENGTH_MAX: Final = 200


class Acquire(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `lease.acquire`."""

    scope: str
    ttl_s: float
    reason: str
    preempt: bool = False  # take it from its holder; supervisors only


class Renew(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `lease.renew`; which lease is in `ls` of the envelope, as for `lease.release`."""

    ttl_s: float


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """Data of the answer to `lease.acquire` and `lease.renew`."""

    id: str
    gen: int
    expires_utc_ns: int


class LeaseError(BusError):
    """A lease is refused or lost; `code` is for the envelope, the message for the operator."""

    def __init__(self, code: Code, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that is held."""

    scope: str
    holder: str
    token: Lease
    reason: str
    expires_ns: int

    def told(self, utc_minus_now_ns: int) -> HeldLease:
        """As telemetry."""
        expires_utc_ns = self.expires_ns + utc_minus_now_ns
        return HeldLease(self.scope, self.holder, self.token.id, self.token.gen, expires_utc_ns, self.reason)


def covers(outer: str, inner: str) -> bool:
    """Whether a lease of `outer` is one of `inner`, too."""
    while inner != outer:
        if not inner:
            return False
        inner = PARENTS.get(inner, "")
    return True


def collide(one: str, other: str, same_holder: bool) -> bool:
    """Whether leases of these scopes exclude each other."""
    aimed = not same_holder and "laser" in (one, other) and bool(AIMS & {one, other})
    return aimed or covers(one, other) or covers(other, one)


class LeaseTable:
    """The leases of one station. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self.generation = 0

    @property
    def held(self) -> list[Held]:
        """What is held, the oldest first."""
        return list(self._held.values())

    def acquire(
        self, now_ns: int, utc_ns: int, holder: str, wish: Acquire, supervisor: bool
    ) -> tuple[Held, list[Held]]:
        """Grant; returns the lease, and those that it took away. Raises LeaseError."""
        if wish.scope not in PARENTS:
            raise LeaseError("SCHEMA", f"there is no lease of {wish.scope!r}, only of {', '.join(PARENTS)}")
        if not wish.reason or len(wish.reason) > REASON_LENGTH_MAX:
            raise LeaseError("SCHEMA", f"a lease needs a reason of 1 to {REASON_LENGTH_MAX} characters")
        ttl_ns = _ttl_ns(wish.ttl_s)
        rivals = [one for one in self.held if collide(one.scope, wish.scope, one.holder == holder)]
        if rivals and not wish.preempt:
            raise LeaseError("NO_LEASE", busy(rivals[0]), "wait for its end, or take it as a supervisor: --preempt")
        if rivals and not supervisor:
            raise LeaseError("AUTH", f"{holder} is no supervisor; {busy(rivals[0])}", "wait for its end")
        for rival in rivals:
            del self._held[rival.token.id]
        self.generation = max(self.generation + 1, utc_ns // 1_000_000)
        token = Lease(f"{wish.scope}-{self.generation}", self.generation)
        held = self._held[token.id] = Held(wish.scope, holder, token, wish.reason, now_ns + ttl_ns)
        return held, rivals

    def renew(self, now_ns: int, holder: str, token: Lease | None, ttl_s: float) -> Held:
        """Prolong. Raises LeaseError when it is not held any more, or by somebody else."""
        before, ttl_ns = self.find(holder, token), _ttl_ns(ttl_s)
        renewed = Held(before.scope, holder, before.token, before.reason, now_ns + ttl_ns)
        self._held[before.token.id] = renewed
        return renewed

    def release(self, holder: str, token: Lease | None) -> Held:
        """Give back. Raises LeaseError when it is not held any more, or by somebody else."""
        return self._held.pop(self.find(holder, token).token.id)

    def expire(self, now_ns: int) -> list[Held]:
        """Drop, and return, what was not renewed in time."""
        over = [one for one in self.held if now_ns >= one.expires_ns]
        for one in over:
            del self._held[one.token.id]
        return over

    def find(self, holder: str, token: Lease | None) -> Held:
        """The lease of a token. Raises LeaseError."""
        if token is None:
            raise LeaseError("NO_LEASE", "the message carries no lease", "put {id, gen} into `ls`")
        held = self._held.get(token.id)
        if held is None or held.token != token:
            raise LeaseError("LEASE_STALE", f"the lease {token.id} is over", "acquire it again")
        if held.holder != holder:
            raise LeaseError("AUTH", f"the lease {token.id} is {held.holder}'s, not {holder}'s")
        return held


def busy(held: Held | HeldLease) -> str:
    """Who has it, for whoever wants it."""
    return f"{held.holder} holds the lease of the {held.scope} ({held.reason})"


def _ttl_ns(ttl_s: float) -> int:
    if not TTL_MIN_S <= ttl_s <= TTL_MAX_S:  # nan is neither
        raise LeaseError(
            "SCHEMA", f"ttl_s {ttl_s:g} is not between {TTL_MIN_S:g} and {TTL_MAX_S:g} s; renew it instead"
        )
    return round(ttl_s * NS)
