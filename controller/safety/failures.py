"""What cannot be asked or judged because it raises: a no, and told once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from controller.bus.port import Port
from controller.bus.topics import STATION_EVENT, StationEvent

T = TypeVar("T")


def told(error: Exception) -> str:
    """The sentence of a failure, for the operator."""
    return f"cannot be judged ({type(error).__name__}: {error})"


class Failures:
    """Each of them is told when it happens first: repeated fifty times a second it would drown everything else."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._known: set[str] = set()

    def note(self, what: str, sentence: str) -> None:
        """Tell that `what` failed, unless that is known."""
        if what not in self._known:
            self._known.add(what)
            message = f"{what} {sentence}: emission stays off while it lasts; report it with the recording"
            self._port.publish(STATION_EVENT, StationEvent("error", "VOTE", message))

    def of(self, what: str, ask: Callable[[], T], otherwise: Callable[[str], T]) -> T:
        """What is answered, or what is to be taken for it with the sentence of a failure."""
        try:
            return ask()
        except Exception as error:  # whatever it is: nonsense is a no, and must not end the process that says so
            sentence = told(error)
            self.note(what, sentence)
            return otherwise(sentence)
