"""What emulators share that answer a wrong command with a number."""

from __future__ import annotations


class Refused(Exception):  # noqa: N818 (it becomes a number)
    """A command that becomes an error of this number."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def as_number(word: str, malformed: int, out_of_range: int) -> float:
    """A finite number of a text protocol. Raises Refused."""
    try:
        value = float(word)
    except ValueError:
        raise Refused(malformed) from None
    if not -1e9 < value < 1e9:  # NaN, too
        raise Refused(out_of_range)
    return value
