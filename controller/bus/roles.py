"""Who may do what on an authenticated bus. A sender is who its key says, whatever it writes into a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["observer", "operator", "supervisor", "station"]

ROLES: Final[dict[Role, str]] = {
    "observer": "reads telemetry, pings, stops",
    "operator": "also commands, with a lease",
    "supervisor": "also takes a lease that somebody else holds",
}
STATION: Final[Role] = "station"  # the key of a station's own services; nobody logs in with it
STOPS: Final = frozenset({"stop", "abort", "safe"})  # never too late, never for another start, of anybody who is listed
EVENTS_SINCE: Final = "events.since"  # answered by the port of every service
FOR_OBSERVERS: Final = STOPS | {"ping", "reg.lookup", EVENTS_SINCE}
FOR_SERVICES: Final = frozenset({"reg.announce"})


@dataclass(frozen=True, slots=True)
class Principal:
    """The owner of a listed key."""

    name: str
    role: Role


def forbidden(principal: Principal, claimed: str, method: str) -> str:
    """Why this principal may not send this method as `claimed`; empty when it may."""
    if principal.role == STATION:
        return ""
    if claimed != principal.name:
        return f"the key of {principal.name} may not speak as {claimed!r}"
    if principal.role == "observer" and method not in FOR_OBSERVERS:
        return f"{principal.name} is an observer and may not send {method}"
    if method in FOR_SERVICES:
        return f"{method} is for the services of the station"
    return ""
