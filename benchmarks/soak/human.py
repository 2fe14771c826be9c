"""The operator: flies each pass, and after a trip does what a human does: looks, resets, tracks, arms and confirms."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from controller.bus.envelope import BusError, Lease
from controller.bus.holder import TTL_S, acquire
from controller.bus.lease import LEASE_KEEPER
from controller.bus.port import Reply
from controller.bus.topics import ModeState, SafetyState
from controller.pointing.plan import Plan, order

NS = 1_000_000_000
LOOK_S = 0.5
REACTION_S = 4.0  # until a human has read why it stopped
AGAIN_S = 2.0  # after a refusal
PATIENCE_S = 8.0  # with a service that says nothing, until the station is started again
START_S = 90.0
TOO_LATE_NS = 8 * NS  # a pass with less left is not taken up again
TIMEOUT_S = 3.0
RENEWAL_S = TTL_S / 3  # two may be lost


class Desk(Protocol):
    """What an operator has before him."""

    def call(
        self,
        service: str,
        method: str,
        body: dict[str, Any],
        timeout_s: float,
        control: bool = False,
        lease: Lease | None = None,
    ) -> Reply: ...

    def utc_ns(self) -> int: ...

    def pause(self, seconds: float) -> None: ...

    def mode(self) -> ModeState | None: ...

    def safety(self) -> SafetyState | None: ...

    def absent(self) -> list[str]: ...

    def latched(self) -> bool: ...

    def start_again(self) -> None: ...


@dataclass
class Human:
    """`consented` is told when arm and confirm were obeyed."""

    desk: Desk
    consented: Callable[[int], None]
    resets: int = 0
    restarts: int = 0
    arms: int = 0
    refusals: list[str] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)  # to clear the beam board's latch
    _lease: Lease | None = None  # kept through a pass: its end is a trip

    def fly(self, plan: Plan, end_ns: int) -> None:
        """From now to the end of the pass."""
        desk = self.desk
        while desk.utc_ns() < end_ns:
            if not self._all_here() or (mode := desk.mode()) is None:
                self._pause(LOOK_S)
            elif mode.mode in {"SAFE", "FAULT"}:
                self._reset()
            elif mode.mode in {"OFF", "STOWED", "HOLD"}:
                self._take_up(plan, end_ns)
            elif desk.latched():
                self._stop()
            elif (safety := desk.safety()) is not None and not safety.armed:
                self._ask("safety", ("safety.arm", "safety.confirm"))
            self._pause(LOOK_S)
        self._release()

    def rest(self, until_ns: int) -> None:
        """Between passes: what stopped is looked at and reset, nothing is moved or armed."""
        desk = self.desk
        while desk.utc_ns() < until_ns:
            if self._all_here() and (mode := desk.mode()) is not None and mode.mode in {"SAFE", "FAULT", "HOLD"}:
                self._reset()
            desk.pause(min(LOOK_S, max(0.01, (until_ns - desk.utc_ns()) / NS)))

    def wait_for_station(self) -> None:
        """Until every service is there."""
        end_ns = self.desk.utc_ns() + round(START_S * NS)
        while self.desk.absent() and self.desk.utc_ns() < end_ns:
            self.desk.pause(LOOK_S)

    def _all_here(self) -> bool:
        missing, left_s = set(self.desk.absent()), PATIENCE_S
        if not missing:
            return True
        while missing and left_s > 0:
            self._pause(LOOK_S)
            left_s -= LOOK_S
            missing &= set(self.desk.absent())  # whoever has said anything meanwhile lives
        if missing:
            self.desk.start_again()
            self.restarts += 1
            self.wait_for_station()
        return False

    def _reset(self) -> None:
        self._pause(REACTION_S)
        self.resets += self._ask("station", ("station.reset",))

    def _stop(self) -> None:
        """A beam board that is latched wants a reset, and a reset wants the station at rest."""
        for service in ("station", "pointing", "safety"):
            self.desk.call(service, "stop", {}, TIMEOUT_S, control=True)
        self.stops.append(self.desk.utc_ns())
        self._reset()

    def _take_up(self, plan: Plan, end_ns: int) -> None:
        if end_ns - self.desk.utc_ns() < TOO_LATE_NS:
            return
        if self._ask("station", ("station.track",), order(plan, end_ns)):
            self._ask("safety", ("safety.arm", "safety.confirm"))

    def _ask(self, service: str, methods: tuple[str, ...], body: dict[str, Any] | None = None) -> bool:
        with suppress(BusError):
            self._lease = self._lease or acquire(self.desk, "station", "the soak")
            for method in methods:
                reply = self.desk.call(service, method, body or {}, TIMEOUT_S, lease=self._lease)
                if reply.code:
                    self.refusals.append(f"{method}: {reply.message}")
                    if reply.code in {"NO_LEASE", "LEASE_STALE"}:
                        self._lease = None
                    break
                if method == "safety.confirm":
                    self.arms += 1
                    self.consented(self.desk.utc_ns())
            else:
                return True
        self._pause(AGAIN_S)
        return False

    def _pause(self, seconds: float) -> None:
        """Wait, and keep the lease meanwhile, as a client does by itself."""
        while seconds > 0:
            self.desk.pause(min(seconds, RENEWAL_S))
            seconds -= RENEWAL_S
            if self._lease is not None and self._tell_keeper("lease.renew", {"ttl_s": TTL_S}).code:
                self._lease = None

    def _release(self) -> None:
        if self._lease is not None:
            self._tell_keeper("lease.release", {})
            self._lease = None

    def _tell_keeper(self, method: str, body: dict[str, Any]) -> Reply:
        try:
            return self.desk.call(LEASE_KEEPER, method, body, TIMEOUT_S, True, self._lease)
        except BusError as error:
            return Reply("TRANSPORT", str(error))
