"""What a recording's bytes go through: they reach the file a whole flush at a time, or not at all.

A disk that is full takes a part of what it is given. That part is cut off again and the flush is kept for another try,
so that a file always ends with a whole record and its offsets stay true. The file is locked for as long as it is
written: nobody recovers it meanwhile. It gets its name with its first whole record, so that no name stands for nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from controller.record.damage import RecordingError
from controller.record.read import PARTIAL


class Sink:
    """A file for the MCAP writer. `write` keeps bytes in memory, `commit` brings them to the file.

    Raises RecordingError when the file exists or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._named = path, False
        self._partial = path.with_name(path.name + PARTIAL)
        try:
            if path.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            self._file = self._partial.open("wb", buffering=0)
        except OSError as error:
            raise RecordingError(f"the recording {path} cannot be written: {error.strerror}") from None
        lock(self._file)
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
            if not self._named:
                self._partial.rename(self._path)
                self._named = True
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
        """Close; what waits and finds no room is lost, and a file that never got its name is removed."""
        self.commit()
        self._file.close()
        if not self._named:
            self._partial.unlink(missing_ok=True)


def lock(file: BinaryIO | FileIO) -> None:
    """Mark a file as being written; a file system without locks goes without."""
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def claim(file: BinaryIO, path: Path) -> bool:
    """Lock a file that others may want, too; False where another process has it, or has just removed or renamed it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks on this file system
        return True
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())


def being_written(path: Path) -> bool:
    """True while somebody holds its lock; a kill releases it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # no locks on this file system
            return False
    return False
