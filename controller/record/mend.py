"""Mending what an earlier run left, while the recorder records: an hour's file takes ten seconds to write anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread

from controller.record.damage import Damage, sentences
from controller.record.recover import recordings_in, recover_all, sweep


class Mender:
    """Recovers a run directory in a thread of its own, which touches nothing but files; `news` is for the recorder.

    It looks at the files that are there now, and at none that the recorder begins later.
    """

    def __init__(self, folder: Path) -> None:
        sweep(folder)
        self._paths = recordings_in(folder)
        self._news: SimpleQueue[tuple[str, str]] = SimpleQueue()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="mender", daemon=True)
        self._thread.start()

    def news(self) -> Iterator[tuple[str, str]]:
        """Code and sentence of what has happened since the previous call."""
        while not self._news.empty():
            yield self._news.get()

    def close(self) -> None:
        """End; a file half mended is left as it was, for the next start."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        def cannot(sentence: str) -> None:
            self._news.put(("NOT_RECOVERED", sentence))

        found: list[Damage] = []
        for name, count in recover_all(self._paths, cannot, self._stop.is_set, found.append).items():
            self._news.put(("RECOVERED", f"{name} had been cut off: {count} messages are readable again"))
        for sentence in sentences(found):
            self._news.put(("DAMAGED", sentence))
