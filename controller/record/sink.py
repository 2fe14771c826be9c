"""What a recording's bytes go through: they reach the file a whole flush at a time, or not at all.

A disk that is full takes a part of what it is given. That part is cut off again and the flush is kept for another try,
so that a file always ends with a whole record and its offsets stay true. The file is locked for as long as it is
written: nobody recovers it meanwhile.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from controller.record.read import RecordingError


class Sink:
    """A file for the MCAP writer. `write` keeps bytes in memory, `commit` brings them to the file.

    Raises RecordingError when the file exists or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            raise RecordingError(f"the recording {path} cannot be written: {error.strerror}") from None
        with suppress(OSError):  # a file system without locks has only its name to warn others
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._waiting = bytearray()
        self.length = 0  # bytes in the file: whole records
        self.refused = ""  # why the file took nothing at the last try; empty when it did

    @property
    def closed(self) -> bool:
        """True once the file is closed."""
        return self._file.closed

    def write(self, data: bytes) -> int:
        """Take bytes; all of them."""
        self._waiting += data
        return len(data)

    def tell(self) -> int:
        """Where the next byte will stand in the file."""
        return self.length + len(self._waiting)

    def flush(self) -> None:
        """Nothing: the writer calls it after each chunk, `commit` comes when the recorder says so."""

    def commit(self) -> bool:
        """Bring what waits to the file; False, with `refused`, when the file took none of it."""
        waiting = bytes(self._waiting)
        try:
            self._file.seek(self.length)
            written = 0
            while written < len(waiting):
                written += self._file.write(waiting[written:]) or 0
        except OSError as error:
            self.refused = error.strerror or str(error)
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), self.length)
            return False
        self.length += len(waiting)
        self._waiting.clear()
        self.refused = ""
        return True

    def close(self) -> None:
        """Close; what waits and finds no room is lost."""
        self.commit()
        self._file.close()
