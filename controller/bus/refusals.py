"""What a service's door and inbox have refused, in numbers and as a sentence for the operator."""

from __future__ import annotations

from collections import Counter
from typing import Final

from controller.bus.inbox import Inbox
from controller.bus.transport import Transport

CONNECTION: Final = "CONNECTION"


class Refusals:
    """`counts` by error code since the start; connections that never got in count as CONNECTION."""

    def __init__(self, inbox: Inbox, transport: Transport) -> None:
        self._inbox = inbox
        self._transport = transport
        self.counts: Counter[str] = Counter()

    def new(self) -> str:
        """A sentence about what was refused since the previous call; empty when nothing was."""
        connections, latest = self._transport.refusals()
        seen = self._inbox.refused + Counter({CONNECTION: self.counts[CONNECTION] + connections})
        new = seen - self.counts
        self.counts = seen
        if not new:
            return ""
        what = ", ".join(f"{count} {code}" for code, count in sorted(new.items()))
        last = [latest] if connections else []
        if new.total() > connections:  # whoever knocks does not hide who was let in and may not send that
            last.append(self._inbox.latest_refusal)
        return f"refused {what}; last: {'; '.join(last)}"
