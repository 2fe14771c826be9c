"""What the supervisor says of the station's processes: it sees a death in 20 ms, long before silence tells."""

from __future__ import annotations

from controller.bus.port import Port
from controller.bus.topics import STATION_EVENT

SUPERVISOR = "supervisor"


def deaths(port: Port) -> dict[str, str]:
    """Services whose process has died since the previous call, each with the supervisor's first sentence, in order.

    Takes the events of the port: whoever reads them for something else does so itself.
    """
    told = (s.body for s in port.drain(STATION_EVENT) if s.source == SUPERVISOR and s.body.code == "DIED")
    first: dict[str, str] = {}
    for event in told:
        first.setdefault(event.message.split(" ", 1)[0], event.message)
    return first
