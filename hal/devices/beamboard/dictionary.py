"""What the board says about itself: commands, modes, parameters with units, capture channels, limits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hal.errors import DeviceError, ProtocolError

NEEDED_COMMANDS = frozenset(
    {
        "hello", "dictionary", "status", "heartbeat", "mode", "reset", "setpoints", "get", "set", "point_ahead",
        "inject", "capture", "read", "section", "commit",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dictionary:
    """The board's tables by name; `raw` is everything it sent."""

    raw: dict[str, Any]
    commands: dict[str, int]
    modes: tuple[str, ...]
    parameters: dict[str, int]
    channels: dict[str, int]
    tick_rate_hz: float

    @classmethod
    def parse(cls, text: bytes, name: str) -> Dictionary:
        """Raises ProtocolError when the text is not a dictionary that this driver can work with."""
        try:
            # Lists end in null, so that the firmware may build them without looking ahead.
            raw: dict[str, Any] = {
                key: [row for row in value if row is not None] if isinstance(value, list) else value
                for key, value in json.loads(text).items()
            }
            dictionary = cls(
                raw=raw,
                commands={row["name"]: int(row["id"], 16) for row in raw["commands"]},
                modes=tuple(row["name"] for row in raw["modes"]),
                parameters={row["name"]: index for index, row in enumerate(raw["parameters"])},
                channels={row["name"]: index for index, row in enumerate(raw["channels"])},
                tick_rate_hz=float(raw["tick_rate_hz"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProtocolError(
                f"{name}: sent a data dictionary that cannot be read ({error}); update its firmware."
            ) from error
        missing = NEEDED_COMMANDS - dictionary.commands.keys()
        if missing:
            raise ProtocolError(f"{name}: its firmware lacks the commands {', '.join(sorted(missing))}; update it.")
        return dictionary

    def parameter(self, key: str, name: str) -> int:
        """Number of a parameter. Raises DeviceError naming those that exist."""
        return self._number(self.parameters, key, "parameter", name)

    def channel(self, key: str, name: str) -> int:
        """Number of a capture channel. Raises DeviceError naming those that exist."""
        return self._number(self.channels, key, "capture channel", name)

    @staticmethod
    def _number(table: dict[str, int], key: str, what: str, name: str) -> int:
        if key not in table:
            raise DeviceError(f"{name}: the beam board has no {what} {key!r}; it has {', '.join(table)}.")
        return table[key]
