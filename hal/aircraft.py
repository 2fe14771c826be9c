"""Opens the feed of aircraft reports that a rig names. It has no emulator: a feed is real, or there is none."""

from __future__ import annotations

from hal.clock import Clock
from hal.traits import AircraftFeed


def open_aircraft_feed(resource: str, clock: Clock) -> AircraftFeed:
    """Open `tcp://HOST:PORT` (BaseStation text) or `file:///.../aircraft.json`. Raises ResourceError."""
    if resource.startswith("file://"):
        from hal.devices.aircraft_json import AircraftJsonFeed

        return AircraftJsonFeed(resource, clock)
    from hal.devices.sbs import SbsFeed

    return SbsFeed(resource, clock)
