"""SCPI error numbers and the queue that holds them (SCPI-1999 volume 2, chapter 21.8)."""

from __future__ import annotations

from collections import deque

MESSAGES = {
    0: "No error",
    -100: "Command error",
    -102: "Syntax error",
    -104: "Data type error",
    -108: "Parameter not allowed",
    -109: "Missing parameter",
    -113: "Undefined header",
    -131: "Invalid suffix",
    -200: "Execution error",
    -221: "Settings conflict",
    -222: "Data out of range",
    -224: "Illegal parameter value",
    -350: "Queue overflow",
    -410: "Query INTERRUPTED",
    -420: "Query UNTERMINATED",
}


class ScpiError(Exception):
    """A command that is refused; `code` goes into the error queue."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(f"{code} {MESSAGES.get(code, 'Device error')} {detail}")
        self.code = code
        self.detail = detail


class ErrorQueue:
    """First in, first out; when full, the newest entry becomes -350 and later ones are lost."""

    def __init__(self, depth: int = 16) -> None:
        self._entries: deque[tuple[int, str]] = deque()
        self._depth = depth

    def __len__(self) -> int:
        return len(self._entries)

    def push(self, code: int, detail: str = "") -> None:
        """Append an error."""
        if len(self._entries) < self._depth:
            self._entries.append((code, detail))
        else:
            self._entries[-1] = (-350, "")

    def pop(self) -> str:
        """The oldest error as `<number>,"<text>"`, removed; `+0,"No error"` when there is none."""
        if not self._entries:
            return '+0,"No error"'
        code, detail = self._entries.popleft()
        text = MESSAGES.get(code, "Device-specific error")
        return f'{code:+d},"{text};{detail}"' if detail else f'{code:+d},"{text}"'

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
