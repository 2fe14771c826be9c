"""The emulated beam board *is* the firmware: its bytes go through the real core, its tick is called by the plant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_hw.devices.beamboard_library import open_library

# The board's io structure, in order (firmware/core/bs_board.h).
IO_NAMES = (
    "quad_a", "quad_b", "quad_c", "quad_d", "mirror_x", "mirror_y", "interlock",
    "cmd_x", "cmd_y", "paa_x", "paa_y", "enable",
)  # fmt: skip
IO = {name: index for index, name in enumerate(IO_NAMES)}
TX_ROOM = 4096


class BeamBoard:
    """A SerialDevice. Time reaches it only as ticks: whoever owns the plant calls `tick_address` at 10 kHz.

    `io` is the board's io structure as float32[12]; it and the addresses stay valid as long as this object.
    Raises FirmwareLibraryError when the firmware library is missing or stale.
    """

    def __init__(self, serial: int = 1) -> None:
        self._ffi, self._library = open_library()
        self._board: Any = self._ffi.gc(self._library.bs_host_new(serial), self._library.bs_host_free)
        self._room = self._ffi.new("uint8_t[]", TX_ROOM)
        self._send: Callable[[bytes], None] | None = None
        self.catch_up: Callable[[], None] = lambda: None  # a plant that lags runs its ticks up to now
        self.io: NDArray[np.float32] = np.zeros(len(IO_NAMES), dtype=np.float32)
        self.io[IO["interlock"]] = 1.0

    @property
    def board_address(self) -> int:
        """Address of the board's state, the tick's first argument."""
        return int(self._ffi.cast("uintptr_t", self._board))

    @property
    def tick_address(self) -> int:
        """Address of `void tick(board *, io *)`."""
        return int(self._ffi.cast("uintptr_t", self._ffi.addressof(self._library, "bs_host_tick")))

    @property
    def enable_line(self) -> bool:
        """The emission enable line, as of the last tick."""
        self.catch_up()
        return bool(self.io[IO["enable"]] > 0.5)

    def set_interlock(self, closed: bool) -> None:
        """Open or close the interlock loop; the next tick sees it."""
        self.catch_up()
        self.io[IO["interlock"]] = 1.0 if closed else 0.0

    def tick(self, count: int = 1) -> None:
        """Run ticks without a plant (tests, a board on its own)."""
        io = self._ffi.cast("float *", self.io.ctypes.data)
        for _ in range(count):
            self._library.bs_host_tick(self._board, io)

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Remember how to send bytes to the host."""
        self._send = send

    def receive(self, data: bytes) -> None:
        """Bytes from the host; the firmware answers a complete request at once."""
        self.catch_up()
        self._library.bs_host_rx(self._board, data, len(data))
        while (n := self._library.bs_host_tx(self._board, self._room, TX_ROOM)) and self._send is not None:
            self._send(bytes(self._ffi.buffer(self._room, n)))
