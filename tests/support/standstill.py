"""Run as a program: a publisher floods a client that does not read for a while, then does (an abort ends the process).

Prints the number of the last heartbeat that the client got, and how many events it counts as lost.
"""

from __future__ import annotations

import sys

from controller.bus.client import Client
from controller.bus.endpoints import static_table
from controller.bus.socket_port import SocketPort
from controller.bus.topics import SERVICE_HEARTBEAT, STATION_EVENT, Heartbeat, StationEvent
from controller.bus.transport import HIGH_WATER
from hal.clock import NS, Deadline, RealClock

STANDSTILL_S = 2.5  # longer than the time-out (1.5 s) and the time to live (2 s) of the ZMTP heartbeats that did it
LAST = 7  # the number that a client which has caught up knows


def main(base_port: int) -> None:
    """Stand still, go on, tell."""
    clock, table = RealClock(), static_table(base_port=base_port, services=("link",))
    server = SocketPort("link", clock, table)
    with Client(table) as client:
        client.subscribe(STATION_EVENT)
        client.subscribe(SERVICE_HEARTBEAT)
        joined = Deadline(clock, 5.0)
        while not client.store.latest(SERVICE_HEARTBEAT, "link") and not joined.expired:
            server.publish(SERVICE_HEARTBEAT, Heartbeat(0, 0, 0))
            client.pause(0.01)
        for _ in range(20 * HIGH_WATER):
            server.publish(STATION_EVENT, StationEvent("info", "flood", "x" * 200))
        clock.sleep_until(clock.now_ns() + round(STANDSTILL_S * NS))
        caught_up = Deadline(clock, 20.0)
        while client.store.latest(SERVICE_HEARTBEAT, "link").body.t_utc_ns != LAST and not caught_up.expired:
            server.publish(STATION_EVENT, StationEvent("info", "next", "by which the loss is seen"))
            server.publish(SERVICE_HEARTBEAT, Heartbeat(LAST, 0, 0))
            client.pause(0.01)
        newest = client.store.latest(SERVICE_HEARTBEAT, "link").body.t_utc_ns
        sys.stdout.write(f"{newest} {client.store.gaps[STATION_EVENT.name]}\n")
    server.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
