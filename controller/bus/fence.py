"""The last look at a command before a device hears of it: does its sender hold the lease, and is nobody newer known?

Each service that owns devices does it for itself, with the station's lease telemetry and the largest generation that it
has obeyed: a holder that slept through its own replacement is refused wherever its command arrives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from controller.bus.envelope import Lease
from controller.bus.lease import CONSENT, ENDER, ENDING, FREE, LEASE_KEEPER, SCOPE_OF, busy, covers
from controller.bus.port import Reply, Request, overtaken
from controller.bus.roles import STATION, STOPS
from controller.bus.topics import LeaseState
from hal.clock import NS, Clock

AGAIN: Final = "acquire it again; where that never helps UTC was set back: start this service again"
CONSENT_ENDS: Final = STOPS | {"safety.disarm"}
WAIT_NS: Final = NS // 5  # telemetry and commands come on two ways: a lease may be younger than the news of it


class Fence:
    """Passes what the lease allows to `service`, refuses the rest with `finish`. `leases` gives the fresh telemetry."""

    def __init__(
        self,
        service: str,
        clock: Clock,
        leases: Callable[[], LeaseState | None],
        finish: Callable[[Request, Reply], None],
    ) -> None:
        self._service = service
        self._scope = SCOPE_OF.get(service)
        self._clock = clock
        self._leases = leases
        self._finish = finish
        self._highest = 0
        self._obeyed: Lease | None = None
        self._holder: str | None = None
        self._early: list[tuple[int, Request]] = []

    def as_before(self, request: Request) -> bool:
        """Whether a command may be executed since its lease was found to be in order, and no `look` has been since."""
        return (
            request.lease == self._obeyed
            and request.source == self._holder
            and not self._early
            and request.method not in CONSENT
        )

    def look(self) -> None:
        """There may be news of leases, or they have become old: judge the next command by them."""
        self._obeyed = self._holder = None

    def passed(self, requests: list[Request]) -> list[Request]:
        """Those that may be executed now, in order."""
        if self._scope is None or not (requests or self._early):
            return requests
        if not self._early:
            return self._without_ended([request for request in requests if self._judged(request, self._scope)])
        if stop := next((r.method for r in requests if r.control and r.method in STOPS), None):
            early, self._early = self._early, []
            for _, request in early:
                self._finish(request, overtaken(request, stop))
        now_ns = self._clock.now_ns()
        waiting, self._early = [*self._early, *((now_ns, request) for request in requests)], []
        allowed = []
        for since_ns, request in sorted(waiting, key=lambda one: not one[1].control):
            refusal = self._refusal(request, self._scope)
            if refusal is None:
                allowed.append(request)
            elif refusal is EARLY and now_ns - since_ns < WAIT_NS:
                self._early.append((since_ns, request))
            else:
                self._finish(request, refusal)
        return self._without_ended(allowed)

    def _without_ended(self, allowed: list[Request]) -> list[Request]:
        """What ends passes at once; what it has overtaken must not follow it: of a disarm, arm and confirm."""
        if not self._early:
            return allowed
        endings = [request.method for request in allowed if request.method in CONSENT_ENDS]
        if not endings:
            return allowed
        stopped = next((method for method in endings if method in STOPS), None)
        waiting, self._early = self._early, []
        for since_ns, request in waiting:
            if stopped or request.method in CONSENT:
                self._finish(request, overtaken(request, stopped or endings[0]))
            else:
                self._early.append((since_ns, request))
        return allowed

    def _judged(self, request: Request, scope: str) -> bool:
        refusal = self._refusal(request, scope)
        if refusal is None:
            return True
        if refusal is EARLY:
            self._early.append((self._clock.now_ns(), request))
        else:
            self._finish(request, refusal)
        return False

    def _refusal(self, request: Request, scope: str) -> Reply | None:
        lease, method = request.lease, request.method
        if request.control or method in FREE:
            return None
        if method in CONSENT and request.role == STATION:
            return Reply("AUTH", f"{method} is for operators: with the station's own key nobody consents to emission")
        if lease is None:
            if request.source == LEASE_KEEPER and method not in CONSENT:
                return None
            if request.source == ENDER and method in ENDING:
                return None
            return Reply("NO_LEASE", f"{method} needs the lease of the {scope}", "lease.acquire at the station, on ctl")
        if lease.gen < self._highest:
            return Reply("LEASE_STALE", f"{self._service} has obeyed a newer lease than {lease.id}", AGAIN)
        state = self._leases()
        if state is None:
            return Reply("NO_LEASE", "the station, which keeps the leases, is silent: nobody may command", "stop works")
        if lease.gen > state.generation:
            return EARLY
        found = next((one for one in state.held if one.id == lease.id and one.gen == lease.gen), None)
        if found is None:
            rival = next((one for one in state.held if covers(one.scope, scope)), None)
            return Reply("LEASE_STALE", f"the lease {lease.id} is over{f'; {busy(rival)}' if rival else ''}")
        if found.holder != request.source and (request.source != LEASE_KEEPER or method in CONSENT):
            return Reply("AUTH", f"the lease {lease.id} is {found.holder}'s, not {request.source}'s")
        if not covers(found.scope, scope):
            return Reply("NO_LEASE", f"{method} needs the lease of the {scope}; {lease.id} is one of the {found.scope}")
        self._highest = lease.gen
        self._obeyed, self._holder = lease, request.source
        return None


EARLY: Final = Reply("NO_LEASE", "the station tells of no such lease", "acquire it first")
