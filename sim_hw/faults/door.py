"""The fault panel's door: a socket of the running bench, through which an operator starts and clears faults by hand.

One JSON object a line, and one back: `{"start": "camera", "word": "intermittent", "for_s": 2, "parameters": {}}`,
`{"clear": "camera"}` (or null for all), `{"table": true}`. The answer has `active`, or `error` with a sentence.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from sim_hw.faults.panel import Faults
from sim_hw.faults.table import TABLE, FaultError
from sim_hw.wires.tcp import Connection, WriterReactor

LONGEST_LINE = 4096


class FaultDoor:
    """Listens at `path`, a file that only its owner may use. Raises OSError when it cannot."""

    def __init__(self, reactor: WriterReactor, faults: Faults, path: Path) -> None:
        self._reactor = reactor
        self._faults = faults
        self._path = path
        self._guests: set[Connection] = set()
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(str(path))
            path.chmod(0o600)
            self._listener.listen()
        except OSError:
            self._listener.close()
            raise
        self._listener.setblocking(False)
        reactor.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Send everybody away and take the door out."""
        for guest in list(self._guests):
            guest.close()
        self._reactor.remove_reader(self._listener.fileno())
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return
        pending = bytearray()

        def came(data: bytes) -> None:
            pending.extend(data)
            while (end := pending.find(b"\n")) >= 0:
                line = bytes(pending[:end])
                del pending[: end + 1]
                guest.send(json.dumps(self._obey(line)).encode() + b"\n")
            if len(pending) > LONGEST_LINE:
                guest.close()

        guest = Connection(self._reactor, peer, came, lambda: self._guests.discard(guest))
        self._guests.add(guest)

    def _obey(self, line: bytes) -> dict[str, Any]:
        try:
            wish = json.loads(line)
            if "table" in wish:
                rows = {word.name: [word.meaning, [p.name for p in word.parameters]] for word in TABLE.values()}
                return {"table": rows, "active": self._faults.active}
            if "clear" in wish:
                self._faults.clear(wish["clear"])
            else:
                parameters = {str(name): float(value) for name, value in wish.get("parameters", {}).items()}
                self._faults.start(
                    str(wish["start"]), str(wish["word"]), for_s=wish.get("for_s"), parameters=parameters
                )
        except FaultError as error:
            return {"error": str(error), "active": self._faults.active}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return {"error": f"this is no wish of the fault panel ({error}); see docs/faults.md", "active": {}}
        return {"active": self._faults.active}
