"""The C library's heap of this process."""

from __future__ import annotations

import ctypes
from typing import Final

_TRIM: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; other libraries give back by themselves


def give_back() -> None:
    """Return to the system what large temporaries took; else the process keeps the most that there ever were.

    0.1 to 1 ms: after a computation that is seldom, not in a loop (malloc_trim(3)).
    """
    if _TRIM is not None:
        _TRIM(0)
