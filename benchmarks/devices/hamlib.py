"""Hamlib's C library, so far as a rotator needs it: rotctl without a process for each command."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p, c_float, c_int, c_long, c_void_p

LIBRARY = "libhamlib.so.4"  # Debian: libhamlib4
_SIGNATURES = {
    "rot_init": (c_void_p, [c_int]),
    "rot_token_lookup": (c_long, [c_void_p, c_char_p]),
    "rot_set_conf": (c_int, [c_void_p, c_long, c_char_p]),
    "rot_open": (c_int, [c_void_p]),
    "rot_close": (c_int, [c_void_p]),
    "rot_cleanup": (c_int, [c_void_p]),
    "rot_get_position": (c_int, [c_void_p, ctypes.POINTER(c_float), ctypes.POINTER(c_float)]),
    "rot_set_position": (c_int, [c_void_p, c_float, c_float]),
    "rig_set_debug": (None, [c_int]),
}


class HamlibError(Exception):
    """Hamlib says no; the number is its own."""


class Hamlib:
    """One rotator on a pty or at HOST:PORT.

    Raises OSError without the library, HamlibError for what Hamlib does not do.
    """

    def __init__(self, model: int, where: str) -> None:
        self._library = ctypes.CDLL(LIBRARY)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
        self._library.rig_set_debug(0)
        self._rotator = self._library.rot_init(model)
        if not self._rotator:
            raise HamlibError(f"there is no model {model}")
        for key, value in ((b"rot_pathname", where.encode()), (b"serial_speed", b"9600")):
            token = self._library.rot_token_lookup(self._rotator, key)
            if token:  # a network backend has no speed
                self._done(self._library.rot_set_conf(self._rotator, token, value))
        self._done(self._library.rot_open(self._rotator))

    def position_deg(self) -> tuple[float, float]:
        """Azimuth and elevation."""
        azimuth, elevation = c_float(), c_float()
        self._done(self._library.rot_get_position(self._rotator, byref(azimuth), byref(elevation)))
        return azimuth.value, elevation.value

    def go_to(self, azimuth_deg: float, elevation_deg: float) -> None:
        """Send it there."""
        self._done(self._library.rot_set_position(self._rotator, azimuth_deg, elevation_deg))

    def close(self) -> None:
        """Let go of it."""
        self._library.rot_close(self._rotator)
        self._library.rot_cleanup(self._rotator)

    def _done(self, result: int) -> None:
        if result:
            raise HamlibError(f"error {result}")


def version() -> str:
    """As the library says it: "4.5.4"."""
    said = c_char_p.in_dll(ctypes.CDLL(LIBRARY), "hamlib_version2").value or b"Hamlib ?"
    return said.decode().split()[1]
