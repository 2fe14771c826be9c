"""What the status shows of each service's process, one that is down for good included; the journal gets levels."""

from __future__ import annotations

import errno
import io
from typing import Any

import pytest
from rich.console import Console

from controller.bus.port import Sample
from controller.bus.topics import (
    SERVICE_HEARTBEAT,
    SERVICE_PROCESSES,
    Body,
    Heartbeat,
    ProcessReport,
    ServiceProcess,
    Topic,
)
from controller.cli.run import _tell
from controller.cli.snapshot import render, snapshot


class Heard:
    """A store in which link beats and the supervisor reports link and a tracking that is down."""

    def __init__(self) -> None:
        rows = [
            ServiceProcess("link", "running", 4242, 2, 81_400_000, 17, 5, 0.0),
            ServiceProcess("tracking", "down", 0, 5, 0, 0, 0, 0.0),
        ]
        self.bodies: dict[tuple[str, str], Body] = {
            (SERVICE_HEARTBEAT.name, "link"): Heartbeat(1, 10, 0),
            (SERVICE_PROCESSES.name, "supervisor"): ProcessReport(1, rows),
        }

    def sources(self, topic: Topic) -> list[str]:
        return [source for name, source in self.bodies if name == topic.name]

    def latest(self, topic: Topic, source: str = "") -> Sample[Any] | None:
        body = self.bodies.get((topic.name, source))
        return None if body is None else Sample(topic.name, source, 1, 1, 0, True, body)


def test_a_service_without_a_heartbeat_is_shown_with_the_state_of_its_process() -> None:
    seen = snapshot(Heard(), 10**8)  # type: ignore[arg-type]
    assert seen["services"]["link"]["process"]["pid"] == 4242
    assert seen["services"]["tracking"] == {
        "alive": False,
        "age_s": None,
        "cycles": 0,
        "late_steps": 0,
        "process": {
            "state": "down",
            "pid": 0,
            "restarts": 5,
            "resident_bytes": 0,
            "open_files": 0,
            "threads": 0,
            "growth_bytes_h": 0.0,
        },
    }
    paper = io.StringIO()
    Console(width=120, file=paper).print(render(seen))
    lines = {line.split()[0]: line.split() for line in paper.getvalue().splitlines() if line.split()}
    assert lines["link"] == ["link", "yes", "0.10", "10", "0", "running", "3", "81", "17", "5"]
    assert lines["tracking"] == ["tracking", "NO", "-", "0", "0", "down", "6", "0", "0", "0"]


@pytest.mark.parametrize(
    ("sentence", "line"),
    [
        ("error: link hangs", "<3>error: link hangs"),
        ("warning: late", "<4>warning: late"),
        ("info: parked", "<6>info: parked"),
        ("plain", "plain"),
    ],
)
def test_the_journal_gets_the_level_of_a_sentence_and_a_terminal_does_not(
    sentence: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "9:1234")  # sd-daemon(3): KERN_ERR "<3>", KERN_WARNING "<4>", KERN_INFO "<6>"
    _tell(sentence)
    monkeypatch.delenv("JOURNAL_STREAM")
    _tell(sentence)
    assert capsys.readouterr().err.splitlines() == [line, sentence]


def test_words_that_find_no_room_on_the_disk_end_no_station(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sys.stderr", Full())
    _tell("error: the recording cannot grow")
