"""A wire of messages: one line of text out, one line back. What SCPI drivers are written for."""

from __future__ import annotations

from typing import Protocol


class TextWire(Protocol):
    """One message out, one reply back."""

    name: str

    def write(self, message: str) -> None:
        """Send one message. Raises WireError, WireTimeout."""
        ...

    def query(self, message: str, timeout_s: float | None = None) -> str:
        """Send one message and return its reply. Raises WireError, WireTimeout, ProtocolError."""
        ...

    def close(self) -> None:
        """Close the wire."""
        ...
