"""The link service owns the power meter and says whether the received power carries a link."""

from __future__ import annotations

import math

from controller.bus.port import Port, Reply, Request
from controller.bus.topics import LINK_STATE, STATION_EVENT, LinkState, StationEvent
from controller.services.service import Service
from hal.clock import Clock
from hal.errors import HalError
from hal.traits import Identity, PowerMeter

SAFE_TIMEOUT_S = 0.2


class LinkService(Service):
    """Reads the power meter ten times a second; a lost meter is told once and tried again, its silence goes stale."""

    name = "link"
    period_s = 0.1

    def __init__(
        self,
        clock: Clock,
        port: Port,
        meter: PowerMeter,
        wavelength_m: float,
        threshold_w: float,
        power_max_w: float = math.inf,
    ) -> None:
        super().__init__(clock, port)
        self._meter = meter
        self._wavelength_m = wavelength_m
        self._threshold_w = threshold_w
        self._power_max_w = power_max_w
        self._lost = False
        self._over = False

    def open(self) -> None:
        """Set the meter to the received wavelength."""
        self._meter.configure(self._wavelength_m)

    def cycle(self) -> None:
        """Read, compare, publish."""
        for request in self.port.requests():
            self.port.answer(request, _obey(request))
        try:
            power_w = self._meter.power_w()
        except HalError as error:
            self._tell_lost(error)
            return
        self._lost = False
        state = LinkState(self.clock.utc_ns(), power_w, self._threshold_w, power_w >= self._threshold_w)
        self.port.publish(LINK_STATE, state)
        self._protect(power_w)

    def identities(self) -> dict[str, Identity]:
        """The meter."""
        return {"power_meter": self._meter.identity}

    def close(self) -> None:
        """Close the meter."""
        self._meter.close()

    def _protect(self, power_w: float) -> None:
        """Too much light for the detectors: the station goes to SAFE, mirror at rest, our own laser off."""
        over = power_w > self._power_max_w
        if over and not self._over:
            told = f"received power {power_w:.2e} W is above {self._power_max_w:.2e} W: attenuate the beam, then reset"
            self.port.publish(STATION_EVENT, StationEvent("error", "OVER_POWER", told))
        if over:
            for service in ("safety", "station"):
                self.port.call(service, "safe", {}, SAFE_TIMEOUT_S, control=True)
        self._over = over

    def _tell_lost(self, error: HalError) -> None:
        if not self._lost:
            self._lost = True
            self.port.publish(STATION_EVENT, StationEvent("error", "DEVICE", str(error)))


def _obey(request: Request) -> Reply:
    if request.control:
        return Reply("", "link is here; it moves nothing and emits nothing")
    return Reply("SCHEMA", f"link has no method {request.method!r}", "see docs/protocol.md")
