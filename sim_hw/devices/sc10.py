"""Thorlabs SC10 beam shutter controller with an SH05: blades held open by a current, closed by a spring without it.

Sources: Thorlabs SC10 operating manual (8654-D02), table of keywords and queries: lower case, ended by CR; every
character is echoed, and the prompt `> ` follows. `ens` toggles the enable state, `ens?` tells it, `closed?` is 1 when
the blades are closed, `interlock?` is 1 when it has tripped. The words of an error are those of InstrumentKit's
thorlabs_utils, which meets the unit: CMD_NOT_DEFINED, CMD_ARG_INVALID. How long the blades travel is ours: 10 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from sim_hw.timeline import Timeline
from sim_hw.wires.contract import Condition

IDENTITY: Final = "THORLABS SC10 VERSION 1.07"
PROMPT: Final = "> "
UNKNOWN, INVALID = "Command error CMD_NOT_DEFINED", "Command error CMD_ARG_INVALID"
REPLY_DELAY_S = 0.001
TRAVEL_S = 0.010
LONGEST_LINE = 64
MANUAL = 1
SETTINGS: Final = {  # lowest and highest
    "mode": (1, 5),
    "trig": (0, 1),
    "xto": (0, 1),
    "rep": (1, 99),
    "open": (1, 999_999),
    "shut": (1, 999_999),
}
OPEN, CLOSED, BETWEEN = "open", "closed", "between"


class Beam(Protocol):
    """What the blades stand in."""

    def set_shutter(self, passes: bool) -> None:
        """Whether light gets through from now on."""
        ...


class Sc10:
    """A SerialDevice. `power` and `interlock` are what happens to the unit, not what it is told."""

    def __init__(self, timeline: Timeline, beam: Beam | None = None) -> None:
        self._timeline = timeline
        self._beam = beam
        self._send: Callable[[bytes], None] = lambda data: None
        self._half = b""
        self._settings = {"mode": MANUAL, "trig": 0, "xto": 0, "rep": 1, "open": 200, "shut": 200}
        self._enabled = self._tripped = False
        self._powered = True
        self._stuck = self._lies = False  # faults
        self._moves = 0  # since the start: what an older move had in mind is void
        self.blades = CLOSED
        self._tell_beam()

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Remember how to send bytes to the host."""
        self._send = send

    def receive(self, data: bytes) -> None:
        """Run every line that is complete; half a line waits for its end, and only its tail is kept.

        A line's echo goes out with its answer: on the line nobody can tell.
        """
        if not self._powered:
            return
        *lines, half = (self._half + data).split(b"\r")
        self._half = half[-LONGEST_LINE:]
        for line in lines:
            answer = self._run(line.decode("latin-1").strip("\n"))
            told = line.decode("latin-1") + "\r" + (f"{answer}\r" if answer else "") + PROMPT
            self._timeline.after(REPLY_DELAY_S, lambda told=told: self._send(told.encode("latin-1")))  # type: ignore[misc]

    def power(self, on: bool) -> None:
        """Mains: without it the spring closes the blades; with it again the unit begins disabled."""
        self._powered, self._enabled, self._half = on, False, b""
        self._follow()

    def interlock(self, tripped: bool) -> None:
        """The loop on the back; while it is open the blades are closed, whatever is enabled."""
        self._tripped = tripped
        self._follow()

    def press_enable(self) -> None:
        """The button on the front."""
        self._toggle()

    def conditions(self) -> dict[str, Condition]:
        """Faults of the unit itself (sim_hw.faults)."""

        def stuck(settings: Mapping[str, float] | None) -> None:
            self._stuck = settings is not None
            self._follow()

        def wrong(settings: Mapping[str, float] | None) -> None:
            self._lies = settings is not None

        def off(settings: Mapping[str, float] | None) -> None:
            self.power(settings is None)

        return {"stuck": stuck, "wrong": wrong, "off": off}

    def _run(self, line: str) -> str:
        name, is_command, value = line.partition("=")
        if is_command:
            if name not in SETTINGS:
                return UNKNOWN
            low, high = SETTINGS[name]
            if not value.isdecimal() or not low <= int(value) <= high:
                return INVALID
            self._settings[name] = int(value)
            return ""
        if line == "ens":
            self._toggle()
            return ""
        told = {
            "id?": IDENTITY,
            "ens?": str(int(self._enabled)),
            "closed?": str(int((self.blades == CLOSED) != self._lies)),
            "interlock?": str(int(self._tripped)),
            **{f"{key}?": str(value) for key, value in self._settings.items()},
        }
        return told.get(line, UNKNOWN)

    def _toggle(self) -> None:
        self._enabled = not self._enabled
        self._follow()

    def _follow(self) -> None:
        """Blades under way to where the current, or the spring, wants them; until then they are between."""
        wanted = OPEN if self._enabled and self._powered and not self._tripped else CLOSED
        if self._stuck or self.blades == wanted:
            return
        self._moves += 1
        number, self.blades = self._moves, BETWEEN

        def arrive() -> None:
            if number == self._moves:
                self.blades = wanted
                self._tell_beam()

        self._tell_beam()
        self._timeline.after(TRAVEL_S, arrive)

    def _tell_beam(self) -> None:
        """Light passes between the blades, too, from the first moment to the last."""
        if self._beam is not None:
            self._beam.set_shutter(self.blades != CLOSED)
