"""Reading a file of text: what is not there, not text or too large is a sentence; .gz is unpacked."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from controller.pointing.ephemeris.ephemeris import EphemerisError

BYTES_MAX = 256 << 20  # a year of positions each second is smaller


def read_bytes(path: Path) -> bytes:
    """The content, unpacked. Raises EphemerisError."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            content = gzip.GzipFile(fileobj=file).read(BYTES_MAX + 1) if packed else file.read(BYTES_MAX + 1)
    except FileNotFoundError:
        raise EphemerisError(f"{path} does not exist; give a file of positions or elements.") from None
    except IsADirectoryError:
        raise EphemerisError(f"{path} is a folder; give a file of positions or elements.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise EphemerisError(f"{path} is a damaged .gz file; fetch it again.") from None
    except OSError as error:
        raise EphemerisError(f"{path} cannot be read ({error.strerror}).") from None
    if len(content) > BYTES_MAX:
        raise EphemerisError(f"{path} holds more than {BYTES_MAX >> 20} MB; cut out the days that are needed.")
    return content


def as_text(content: bytes, source: str) -> str:
    """UTF-8 text, a byte-order mark removed. Raises EphemerisError."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise EphemerisError(f"{source} is not text; give a file of positions or elements.") from None


def number(word: str, what: str, where: str) -> float:
    """A finite number. Raises EphemerisError naming what it should have been."""
    try:
        value = float(word)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e300:
        raise EphemerisError(f"{where}: {what} is {word!r}, no number.")
    return value
