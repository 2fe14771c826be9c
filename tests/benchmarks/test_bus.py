"""The benchmark of the bus measures what it says, and its page keeps what people wrote."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bus.__main__ import TARGETS, figures, main, once
from benchmarks.bus.page import AIMS, commands, write_section
from benchmarks.bus.turns import SIZES, Alive

TRIPS = {size: [[20_000] * 99 + [90_000]] for size in SIZES}


def slower(times: float) -> dict[int, list[list[int]]]:
    return {size: [[round(trip * times) for trip in trips] for trips in rounds] for size, rounds in TRIPS.items()}


def result(times: float) -> dict[str, Any]:
    ours = figures(slower(times), TRIPS, [1000.0], [2000.0])
    return {
        "starts": 1,
        "rounds": 1,
        "trips": list(SIZES.values()),
        "telemetry_bytes": 545,
        "placements": {"one core": {"raw": figures(TRIPS, TRIPS, [2000.0], [2000.0]), "ours": ours}},
        "targets": {f"{name} {key}": bound for (name, key), bound in TARGETS.items()},
        "not_available": {},
    }


def test_our_bus_takes_its_turns_beside_raw_pyzmq_in_processes_of_their_own() -> None:
    alive = once([], 1, {"raw": "raw", "ours": "ours"})
    assert [one.name for one in alive] == ["raw", "ours"]
    for one in alive:
        assert {size: [len(trips) for trips in rounds] for size, rounds in one.trips.items()} == {
            size: [count] for size, count in SIZES.items()
        }
        assert all(trip > 0 for rounds in one.trips.values() for trips in rounds for trip in trips)
        assert len(one.rates) == 1
        assert one.rates[0] > 0


def test_a_transport_whose_process_dies_is_named_and_the_others_are_ended() -> None:
    alive = [Alive([], "raw", "raw"), Alive([], "raw", "raw")]
    try:
        alive[0]._process.kill()
        with pytest.raises(RuntimeError, match="raw: its process has ended"):
            alive[0].command(64)
    finally:
        for one in alive:
            one.close()
    assert alive[1]._process.returncode == 0


def test_a_transport_that_hangs_is_named_and_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Alive([], "raw", "raw")
    monkeypatch.setattr("benchmarks.bus.turns.ANSWER_S", 0.1)
    monkeypatch.setattr("benchmarks.bus.turns.END_S", 0.1)
    one._process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(RuntimeError, match="raw: no answer within"):
            one.command(64)
    finally:
        one.close()
    assert one._process.returncode == -signal.SIGKILL


def test_a_ratio_is_to_the_reference_of_the_same_rounds() -> None:
    told = figures(slower(1.5), TRIPS, [1000.0], [2000.0])
    assert told["64 B"]["p50"] == {"us": 30.0, "ratio": 1.5, "ratio_of_rounds": [1.5, 1.5]}
    assert told["64 B"]["p99"]["us"] == 135.0
    assert told["telemetry"]["ratio"] == 0.5


@pytest.mark.parametrize(("times", "cell"), [(1.25, "| 1.25 |"), (1.15, "| **1.15** |")])
def test_only_what_meets_its_aim_is_in_bold(times: float, cell: str) -> None:
    (line,) = [line for line in commands(result(times)) if line.startswith("| command, median ")]
    assert line.endswith(cell)


def test_what_was_not_measured_is_told_below_the_table() -> None:
    lines = commands(result(1.0) | {"not_available": {"routed": "No module named 'zenoh'"}})
    assert lines[-2:] == ["", "Not measured: routed, No module named 'zenoh'."]


def test_every_aim_has_a_row_and_every_row_an_aim() -> None:
    assert set(AIMS) == set(TARGETS)


def test_a_section_is_replaced_in_its_place_and_the_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Benchmarks of the bus\n\n## First\n\nold\n\n## By hand\n\nkept\n", encoding="utf-8")
    write_section("First", ["new"], page)
    write_section("Last", ["more"], page)
    assert page.read_text(encoding="utf-8") == (
        "# Benchmarks of the bus\n\n## First\n\nnew\n\n## By hand\n\nkept\n\n## Last\n\nmore\n"
    )


def test_a_transport_that_there_is_not_is_refused_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks.bus", "--only", "our CURVE"])
    with pytest.raises(SystemExit):
        main()
    assert "no transport 'our CURVE': 'ours CURVE'?" in capsys.readouterr().err
