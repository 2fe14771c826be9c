"""The station's side of leases: obeys `lease.*`, tells who holds what, and tells whoever has lost one."""

from __future__ import annotations

from typing import Final

import msgspec

from controller.bus.envelope import BusError
from controller.bus.lease import Acquire, Granted, Held, LeaseError, LeaseTable, Renew
from controller.bus.port import Port, Reply, Request
from controller.bus.topics import LEASE_LOST, STATION_EVENT, STATION_LEASE, LeaseLost, LeaseState, StationEvent
from hal.clock import NS, Clock

TELL_NS: Final = NS // 2


class LeaseDesk:
    """Owned by the station service, turned in its cycle."""

    def __init__(self, clock: Clock, port: Port) -> None:
        self._clock = clock
        self._port = port
        self._table = LeaseTable()
        self._due_ns = 0

    def obey(self, request: Request) -> Reply:
        """Execute `lease.acquire`, `lease.renew` or `lease.release`."""
        try:
            return self._do(request)
        except LeaseError as error:
            return Reply(error.code, str(error), error.hint)
        except msgspec.ValidationError as error:
            return Reply("SCHEMA", f"the body of {request.method} is wrong: {error}", "see docs/protocol.md")

    def over(self, request: Request) -> Reply | None:
        """A refusal when the lease that a command came with has ended since it was admitted."""
        if request.lease is None or request.control:  # a stop is nobody's to refuse
            return None
        try:
            self._table.find(request.source, request.lease)
        except LeaseError as error:
            return Reply(error.code, str(error), error.hint)
        return None

    def turn(self) -> None:
        """Let go what was not renewed; tell the table twice a second and at every change."""
        for held in self._table.expire(self._clock.now_ns()):
            self._lost(held, "", "it was not renewed in time")
        if self._clock.now_ns() >= self._due_ns:
            self._tell()

    def _do(self, request: Request) -> Reply:
        now_ns, source = self._clock.now_ns(), request.source
        match request.method:
            case "lease.acquire":
                wish = msgspec.convert(request.body, Acquire)
                held, taken = self._table.acquire(
                    now_ns, self._clock.utc_ns(), source, wish, request.role == "supervisor"
                )
                for lost in taken:
                    self._lost(lost, source, wish.reason)
                self._tell()
                return self._granted(held)
            case "lease.renew":
                wish_s = msgspec.convert(request.body, Renew).ttl_s
                return self._granted(self._table.renew(now_ns, source, request.lease, wish_s))
            case "lease.release":
                held = self._table.release(source, request.lease)
                self._tell()
                return Reply("", f"the lease of the {held.scope} is free")
        raise BusError(f"{request.method} is no method of leases")

    def _granted(self, held: Held) -> Reply:
        told = held.told(self._utc_minus_now_ns())
        body = msgspec.to_builtins(Granted(id=told.id, gen=told.gen, expires_utc_ns=told.expires_utc_ns))
        return Reply("", f"{held.holder} holds the lease of the {held.scope}", body=body)

    def _lost(self, held: Held, to: str, reason: str) -> None:
        token = held.token
        self._port.publish(LEASE_LOST, LeaseLost(held.scope, held.holder, token.id, token.gen, to, reason))
        how = (
            f"lost the lease of the {held.scope} ({held.reason}) to {to}: {reason}"
            if to
            else (f"held the lease of the {held.scope} ({held.reason}) and did not renew it")
        )
        self._port.publish(STATION_EVENT, StationEvent("warning", "LEASE_LOST", f"{held.holder} {how}"))
        self._due_ns = 0

    def _tell(self) -> None:
        self._due_ns = self._clock.now_ns() + TELL_NS
        held = [one.told(self._utc_minus_now_ns()) for one in self._table.held]
        self._port.publish(STATION_LEASE, LeaseState(self._clock.utc_ns(), self._table.generation, held))

    def _utc_minus_now_ns(self) -> int:
        return self._clock.utc_ns() - self._clock.now_ns()
