from __future__ import annotations

from typing import Any

import pytest

from controller.services.lockstep import Lockstep
from controller.services.service import Service
from sim_hw.timeline import Timeline

MS = 1_000_000


class Bench(Timeline):
    def advance(self, to_ns: int, between: Any = None) -> None:
        super().advance(to_ns, between)


class SilentPort:
    """Counts what is published; stops its service after some cycles."""

    service = "toy"

    def __init__(self, cycles: int) -> None:
        self.cycles_left = cycles
        self.published: list[tuple[str, Any]] = []

    @property
    def stopped(self) -> bool:
        self.cycles_left -= 1
        return self.cycles_left < 0

    def publish(self, topic: Any, body: Any) -> None:
        self.published.append((topic.name, body))


class Toy(Service):
    name = "toy"
    period_s = 0.05

    def __init__(self, clock: Lockstep, port: Any, work_ms: list[int] | None = None, fail: bool = False) -> None:
        super().__init__(clock, port)
        self.at_ms: list[int] = []
        self.closed = False
        self._work_ms = work_ms or []
        self._fail = fail

    def cycle(self) -> None:
        if self._fail:
            raise OSError("cable cut")
        self.at_ms.append(self.clock.now_ns() // MS)
        if self._work_ms:
            self.clock.sleep_until(self.clock.now_ns() + self._work_ms.pop(0) * MS)

    def close(self) -> None:
        self.closed = True


def run(toy: Toy) -> None:
    clock: Any = toy.clock
    clock.spawn("toy", toy.run)
    clock.run()


def test_a_service_keeps_its_period_by_absolute_times() -> None:
    toy = Toy(Lockstep(Bench()), SilentPort(4), work_ms=[10, 20, 5])
    run(toy)
    assert toy.at_ms == [0, 50, 100, 150]
    assert toy.late_steps == 0


def test_a_late_step_is_counted_and_the_pace_starts_anew_from_it() -> None:
    toy = Toy(Lockstep(Bench()), SilentPort(4), work_ms=[70, 5])
    run(toy)
    assert toy.at_ms == [0, 70, 120, 170]
    assert toy.late_steps == 1


def test_a_service_closes_its_devices_on_every_way_out() -> None:
    toy = Toy(Lockstep(Bench()), SilentPort(4), fail=True)
    clock: Any = toy.clock
    run(toy)
    assert toy.closed
    assert isinstance(clock.failures["toy"], OSError)


def test_a_service_beats_ten_times_a_second() -> None:
    port = SilentPort(20)
    run(Toy(Lockstep(Bench()), port))
    beats = [body for name, body in port.published if name == "service/heartbeat"]
    assert len(beats) == pytest.approx(10, abs=1)
    assert beats[-1].cycles >= 18


def test_a_service_tells_what_its_devices_say_of_themselves_and_tells_it_again_for_later_files() -> None:
    port = SilentPort(round(60 / 0.05))
    toy = Toy(Lockstep(Bench()), port)
    toy.identities = lambda: {"gimbal": {"serial": "7"}}  # type: ignore[method-assign]
    run(toy)
    told = [body.devices for name, body in port.published if name == "service/devices"]
    assert told == [{"gimbal": {"serial": "7"}}] * 2
