"""How well this computer knows UTC: asked of the kernel, which NTP and PTP daemons tell. Read only."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

_STA_UNSYNC = 0x0040  # linux/timex.h
_TIME_ERROR = 5
_TIMEX_BYTES = 208  # struct timex on 64-bit Linux


@dataclass(frozen=True, slots=True)
class KernelTime:
    """The kernel's own estimate of its clock."""

    synchronised: bool
    error_s: float  # as estimated
    error_max_s: float


class _Timex(ctypes.Structure):
    """The head of struct timex (adjtimex(2)); the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_byte * _TIMEX_BYTES),
    )


def kernel_time() -> KernelTime | None:
    """The estimate; None where there is none (not Linux)."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None:
        return None
    buffer = _Timex()
    state = adjtimex(ctypes.byref(buffer))
    synchronised = 0 <= state < _TIME_ERROR and not buffer.status & _STA_UNSYNC
    return KernelTime(synchronised, buffer.esterror * 1e-6, buffer.maxerror * 1e-6)
