"""Opens the firmware's host library and refuses a missing or a stale one."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any, cast

import cffi

from sim_hw.devices.beamboard_source import source_hash

PACKAGE = Path(__file__).resolve().parent.parent
DECLARATIONS = """
    typedef struct bs_board bs_board_t;
    const char *bs_host_source_hash(void);
    bs_board_t *bs_host_new(uint32_t serial);
    void bs_host_free(bs_board_t *board);
    void bs_host_tick(bs_board_t *board, float *io);
    void bs_host_rx(bs_board_t *board, const uint8_t *bytes, uint32_t length);
    uint32_t bs_host_tx(bs_board_t *board, uint8_t *bytes, uint32_t room);
"""


class FirmwareLibraryError(RuntimeError):
    """The emulated beam board cannot be built from this installation; the message says what to do."""


def find_library(package: Path = PACKAGE) -> Path:
    """The built library beside the package. Raises FirmwareLibraryError when there is none."""
    for suffix in EXTENSION_SUFFIXES:
        path = package / f"_beamboard{suffix}"
        if path.exists():
            return path
    raise FirmwareLibraryError(
        "beam board: the firmware was not built (no sim_hw/_beamboard library); "
        "install a C compiler (Debian: apt install gcc), then run `make venv` or reinstall boresight."
    )


def open_library(package: Path = PACKAGE) -> tuple[cffi.FFI, Any]:
    """The library, checked against the sources where this is a checkout.

    Raises FirmwareLibraryError for a missing or stale library.
    """
    ffi = cffi.FFI()
    ffi.cdef(DECLARATIONS)
    path = find_library(package)
    library: Any = ffi.dlopen(str(path))
    built_from = cast(bytes, ffi.string(library.bs_host_source_hash())).decode()
    firmware = package.parent / "firmware"
    if (firmware / "core").is_dir() and built_from != source_hash(firmware):
        raise FirmwareLibraryError(
            f"beam board: {path.name} was built from other sources than those in firmware/; "
            "run `make venv` to rebuild it."
        )
    return ffi, library
