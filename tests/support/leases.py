"""A lease for a test that plays the station itself."""

from __future__ import annotations

from controller.bus.envelope import Lease
from controller.bus.lease_desk import LeaseDesk
from controller.bus.port import Request


def grant(desk: LeaseDesk, holder: str, scope: str = "station", ttl_s: float = 10.0) -> Lease:
    """What the desk of a station gives when it is asked in good order; it is told by telemetry at once."""
    wish = {"scope": scope, "ttl_s": ttl_s, "reason": "a test"}
    reply = desk.obey(Request(b"", holder, "lease.acquire", wish, True))
    assert reply.body is not None, reply.message
    return Lease(reply.body["id"], reply.body["gen"])
