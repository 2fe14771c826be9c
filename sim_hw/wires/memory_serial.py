"""Serial lines inside this process, found by name: what `simhw://NAME` opens.

pyserial itself stays in the path: it finds `sim_hw.wires.protocol_simhw` by its own handler search.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import serial

from sim_hw.wires.contract import Waiter
from sim_hw.wires.line import SerialLine

SCHEME = "simhw://"
_PACKAGE = "sim_hw.wires"
_lines: dict[str, tuple[SerialLine, Waiter]] = {}


def register(name: str, line: SerialLine, waiter: Waiter) -> str:
    """Make `line` reachable; returns its resource. Raises ValueError when the name is taken."""
    if name in _lines:
        raise ValueError(f"an emulated serial line named {name!r} exists already")
    if _PACKAGE not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.append(_PACKAGE)
    _lines[name] = (line, waiter)
    return SCHEME + name


def unregister(name: str) -> None:
    """Forget a line; a port that is open on it keeps working."""
    _lines.pop(name, None)


def lookup(name: str) -> tuple[SerialLine, Waiter] | None:
    """The line of that name and who waits for it."""
    return _lines.get(name)


@contextmanager
def serving(lines: dict[str, SerialLine], waiter: Waiter) -> Iterator[dict[str, str]]:
    """Register `lines` for a while; yields name -> resource."""
    resources: dict[str, str] = {}
    try:
        for name, line in lines.items():
            resources[name] = register(name, line, waiter)
        yield resources
    finally:
        for name in resources:
            unregister(name)
