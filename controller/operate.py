"""What an operator does for one pass, as a client of the bus: calibrate, track, arm and confirm, watch to the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from controller.bus.port import Port
from controller.bus.topics import SERVICE_HEARTBEAT, STATION_MODE, Topic
from controller.calibrate import Calibrated, Calibration
from controller.errors import BoresightError
from controller.pointing.plan import Plan, order
from controller.station import RESTING
from hal.clock import NS, Clock

START_TIMEOUT_S = 60.0
CALL_TIMEOUT_S = 3.0  # longer than a rotator takes that is asked on a line of 600 baud
POLL_NS = NS // 10


class OperationError(BoresightError):
    """The station does not do what the operator asks; the message says why."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a pass ended."""

    mode: str
    reason: str


class Operator:
    """`services` are those that must be alive before anything begins; `tell` hears what happens and how far it is."""

    def __init__(
        self, clock: Clock, port: Port, services: tuple[str, ...], tell: Callable[[str, float], None] | None = None
    ) -> None:
        self._clock = clock
        self._port = port
        self._services = services
        self._tell = tell or (lambda what, share: None)

    def wait_for_services(self) -> None:
        """Raises OperationError naming what does not come up, and when told to end meanwhile or before."""
        self._go_on()
        if not self._until(lambda: not self._absent(), START_TIMEOUT_S):
            self._go_on()
            raise OperationError(f"{', '.join(self._absent())} did not start; the log says why.")

    def calibrate(self, calibration: Calibration) -> Calibrated:
        """Run a star calibration."""
        return calibration.run()

    def track(self, plan: Plan, end_utc_ns: int) -> None:
        """Tell the station to follow the pass until `end_utc_ns`."""
        self._go_on()
        self._ask("station", "station.track", order(plan, end_utc_ns))

    def arm(self) -> None:
        """Consent to emission for this pass: arm, then confirm."""
        self._go_on()
        self._ask("safety", "safety.arm", {})
        self._ask("safety", "safety.confirm", {})

    def disarm(self) -> None:
        """Take the consent back."""
        self._ask("safety", "safety.disarm", {})

    def watch(self, until_utc_ns: int) -> Ending:
        """Stay until the station rests again, or until `until_utc_ns`."""
        self._until(lambda: self._mode() not in RESTING, CALL_TIMEOUT_S)
        left_s = (until_utc_ns - self._clock.utc_ns()) / NS
        self._until(lambda: self._mode() in RESTING, left_s)
        state = self._port.latest(STATION_MODE)
        return Ending("", "the station fell silent") if state is None else Ending(state.body.mode, state.body.reason)

    def _go_on(self) -> None:
        """Begin nothing once the end is wanted."""
        if self._port.stopped:
            raise OperationError("told to end: no more was begun.")

    def _mode(self) -> str:
        state = self._port.fresh(STATION_MODE)
        return state.mode if state is not None else ""

    def _absent(self) -> list[str]:
        return [name for name in self._services if self._fresh(SERVICE_HEARTBEAT, name) is None]

    def _fresh(self, topic: Topic, source: str) -> Any:
        return self._port.fresh(topic, source)

    def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        end_ns = self._clock.now_ns() + round(timeout_s * NS)
        while not (met := condition()) and self._clock.now_ns() < end_ns and not self._port.stopped:
            self._clock.sleep_until(self._clock.now_ns() + POLL_NS)
        return met

    def _ask(self, service: str, method: str, body: dict[str, Any]) -> None:
        reply = self._port.call(service, method, body, CALL_TIMEOUT_S)
        if reply.code:
            raise OperationError(f"{method} was refused: {reply.message} {reply.hint}".rstrip())
