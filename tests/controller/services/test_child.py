"""What the supervisor says of a service that has ended is a sentence, whatever ended it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from controller.services.child import Child, signal_name


@pytest.mark.parametrize(
    ("number", "name"), [(9, "SIGKILL"), (int(signal.SIGRTMIN), "SIGRTMIN"), (40, "signal 40"), (63, "signal 63")]
)
def test_every_signal_has_a_name(number: int, name: str) -> None:
    assert signal_name(number) == name


def test_a_log_that_was_tidied_away_is_a_sentence(tmp_path: Path) -> None:
    child = Child.__new__(Child)
    child.log = tmp_path / "logs" / "recorder.log"
    assert child.last_line() == f"{child.log} cannot be read: No such file or directory"
