"""What a row in real time is judged by, with a station and a bench that are made up: samples of the truth and words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from controller.bus.topics import Truth
from controller.cli import faults_realtime
from controller.cli.faults_guests import Answer, Visit
from controller.cli.faults_realtime import Done, Heard
from controller.cli.faults_table import Row, rows
from controller.cli.faults_verdict import Found

MS = 1_000_000
EVERY_MS = range(50, 1600, 50)


def truth(ms: int, emitting: bool = True, line: bool = True, changed_ms: int = -5000, rad_s: float = 0.01) -> Truth:
    fields = dict.fromkeys(Truth.__struct_fields__)
    fields |= {
        "t_utc_ns": ms * MS,
        "emitting": emitting,
        "enable_line": line,
        "enable_changed_utc_ns": changed_ms * MS,
        "axis_command_rad_s": (rad_s, 0.0),
    }
    return Truth(**fields)  # type: ignore[arg-type]


def play(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    samples: Iterable[Truth],
    *,
    mode: str = "SAFE",
    before: Truth | None = None,
    died: Iterable[str] = (),
    silent: Iterable[str] = (),
    done: Done | None = None,
) -> Found:
    """The row, on a station of which this was seen."""
    (row,) = rows([name])
    heard = Heard(truths=[before or truth(0)])

    def until(condition: Callable[[], bool], timeout_s: float) -> bool:
        heard.truths += samples
        heard.died += died
        return True

    station = SimpleNamespace(
        clock=SimpleNamespace(utc_ns=lambda: 1), until=until, mode=mode, silent=lambda: list(silent)
    )
    monkeypatch.setattr(faults_realtime, "_break", lambda station, row: done or Done(touched=lambda: 1))
    return faults_realtime._play(station, heard, row)  # type: ignore[arg-type]


def dark(ms: int, changed_ms: int = 21) -> Truth:
    return truth(ms, False, False, changed_ms, 0.0)


def test_a_line_that_falls_ends_emission_when_no_later_sample_shows_light(monkeypatch: pytest.MonkeyPatch) -> None:
    found = play(monkeypatch, "station suspended", [dark(ms) for ms in EVERY_MS])
    assert (found.off_ms, found.problems) == (pytest.approx(21.0), ())


def test_a_laser_that_emits_after_its_line_fell_is_off_when_the_last_light_is(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [truth(ms, ms < 1400, False, 21, 0.0) for ms in EVERY_MS]
    found = play(monkeypatch, "station suspended", samples)
    assert found.off_ms == pytest.approx(1400.0)
    assert "emission ended after 1400 ms, not within 600 ms" in found.problems


def test_light_that_returns_has_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [truth(ms) if 400 < ms < 600 else dark(ms) for ms in EVERY_MS]
    assert "emission came back by itself" in play(monkeypatch, "station suspended", samples).problems


def test_a_station_that_did_not_emit_when_the_fault_came_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for before in (truth(0, emitting=False), truth(0, rad_s=0.0), truth(-400)):
        found = play(monkeypatch, "station suspended", [dark(ms) for ms in EVERY_MS], before=before)
        assert "it did not emit and move when the fault came" in found.problems


def test_a_guest_who_kills_a_service_or_silences_it_has_failed_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    visit = Done(visit=Visit(1, (Answer("safety", "refused", "", "refused"),)))
    samples = [truth(ms) for ms in EVERY_MS]
    assert play(monkeypatch, "malformed frame", samples, mode="LINK", done=visit).problems == ()
    found = play(
        monkeypatch,
        "malformed frame",
        samples,
        mode="LINK",
        died=["link died with exit code 1 and is started again in 2 s"],
        silent=["recorder"],
        done=visit,
    )
    assert found.problems == ("link died with exit code 1 and is started again in 2 s", "recorder is silent")


def test_a_guest_who_sends_nothing_and_one_who_is_answered_otherwise_have_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples = [truth(ms) for ms in EVERY_MS]
    idle = play(monkeypatch, "flood", samples, mode="LINK", done=Done(visit=Visit(0)))
    assert "the fault touched nothing" in idle.problems
    obeyed = Done(visit=Visit(2, (Answer("safety.arm", "AUTH", "no", "AUTH"), Answer("safety.arm", "", "ok", "AUTH"))))
    found = play(monkeypatch, "stolen key", samples, mode="LINK", done=obeyed)
    assert found.problems == ("safety.arm was answered obeyed and not AUTH (ok), 1 times",)


def replayed(monkeypatch: pytest.MonkeyPatch, first: Found, then: Found) -> list[tuple[Row, Found]]:
    """Played on a bench whose machine stands still each time."""
    plays: list[Found] = [first, then, then]

    def one(station: Any, heard: Heard, row: Row) -> Found:
        heard.bench_late_s = 0.006
        return plays.pop(0)

    monkeypatch.setattr(faults_realtime, "_play", one)
    monkeypatch.setattr(faults_realtime, "_up", lambda *arguments: True)
    process = SimpleNamespace(poll=lambda: None)
    station = SimpleNamespace(process=process, close=lambda: None)
    monkeypatch.setattr(faults_realtime, "RunningStation", lambda *arguments: station)
    return list(faults_realtime._on_bench(None, None, rows([first.name]), Counter()))  # type: ignore[arg-type]


GOOD = Found(
    "tracking suspended", "realtime", "SAFE", False, False, 200.0, 200.0, 400.0, touched=1, lit=True, samples=30
)


def test_a_machine_that_stood_still_has_what_came_late_played_again_and_the_problem_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = Found(**{**_fields(GOOD), "off_ms": 340.0, "problems": ("emission ended after 340 ms, not within 330 ms",)})
    ((_, found),) = replayed(monkeypatch, late, GOOD)
    assert (found.passed, found.plays, found.earlier) == (True, 2, late.problems)


def test_a_machine_that_stood_still_excuses_no_emission_that_came_back(monkeypatch: pytest.MonkeyPatch) -> None:
    back = Found(**{**_fields(GOOD), "came_back": True, "problems": ("emission came back by itself",)})
    ((_, found),) = replayed(monkeypatch, back, GOOD)
    assert (found.passed, found.plays) == (False, 1)


def _fields(found: Found) -> dict[str, Any]:
    return {name: getattr(found, name) for name in found.__slots__}
