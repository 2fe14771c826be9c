"""What a serial port has beside its bytes: framing and modem lines, as host and device set them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Framing:
    """How both ends must have set their ports to understand each other."""

    baud: int
    data_bits: int = 8
    parity: str = "N"  # N, O, E, M, S
    stop_bits: float = 1

    def understands(self, other: Framing) -> bool:
        """True when bytes of the other end are read right; clocks may differ by 3 %."""
        near = abs(self.baud - other.baud) <= 0.03 * self.baud
        return near and (self.data_bits, self.parity) == (other.data_bits, other.parity)


@dataclass(slots=True)
class HostLines:
    """What the host drives."""

    dtr: bool = True
    rts: bool = True
    brk: bool = False
    breaks: int = 0  # how often the line was held at space


@dataclass(frozen=True, slots=True)
class DeviceLines:
    """What the device drives."""

    cts: bool = True
    dsr: bool = True
    dcd: bool = True
    ri: bool = False


def garbled(data: bytes) -> bytes:
    """What is read of bytes whose framing is not ours: every byte is another, and some are lost."""
    return bytes((byte * 0x9D + 0x53) & 0xFF for index, byte in enumerate(data) if index % 4 != 3)
