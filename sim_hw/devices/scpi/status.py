"""A SCPI status register group: condition, transition filters, event, enable (SCPI-1999 volume 1, chapter 9)."""

from __future__ import annotations


class Register:
    """One group; the event part latches condition bits that pass a transition filter, and is cleared by reading."""

    def __init__(self) -> None:
        self.condition = 0
        self.event = 0
        self.enable = 0
        self.positive = 0x7FFF
        self.negative = 0

    def set_condition(self, bits: int) -> None:
        """Take new condition bits and latch what the filters let through."""
        rising = bits & ~self.condition
        falling = self.condition & ~bits
        self.event |= (rising & self.positive) | (falling & self.negative)
        self.condition = bits

    def take_event(self) -> int:
        """The latched bits, cleared by this read."""
        bits, self.event = self.event, 0
        return bits

    @property
    def summary(self) -> bool:
        """What the status byte shows of this group."""
        return bool(self.event & self.enable)

    def preset(self) -> None:
        """STATus:PRESet."""
        self.enable = 0
        self.positive = 0x7FFF
        self.negative = 0
