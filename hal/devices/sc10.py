"""Thorlabs SC10 beam shutter controller, RS-232, 9600 8N1.

Source: Thorlabs SC10 operating manual (8654-D02), keywords and queries: text in lower case, ended by CR, echoed, and
followed by the prompt `> `. There is no "open" and no "close": `ens` toggles, so that it is never sent without asking
`ens?` just before, and never a second time because its answer was lost. The driver never waits: each call of `poll`
takes what has come and asks what is next.

The unit keeps its state when nobody speaks to it, and its spring closes the blades without power.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import replace
from typing import Final

from hal.clock import NS, Clock, Deadline
from hal.errors import DeviceError, HalError, ProtocolError, WireTimeout
from hal.traits import Identity, ShutterState, ShutterStatus
from hal.wires.opening import open_stream

REPLY_TIMEOUT_S: Final = 0.25
OPENING_S: Final = 1.0
TURN_NS: Final = NS // 200
PROMPT: Final = b">"
LONGEST_REPLY: Final = 256
SETTINGS: Final = (b"mode=1", b"trig=0")  # manual mode: enabled is open; no trigger but ours
TOGGLES_MAX: Final = 2
MODEL: Final = b"SC10"
Talk = Generator[bytes, bytes, None]


class Sc10:
    """A shutter; implements Shutter. Opening it closes the blades. Raises ResourceError, HalError when it is deaf."""

    def __init__(self, resource: str, baud: int, clock: Clock, name: str = "shutter") -> None:
        self._clock, self._name = clock, name
        self._wire = open_stream(resource, clock, name, baud=baud)
        self._wanted = False
        self.identity: Identity = {}
        self.status: ShutterStatus | None = None
        self._begin()
        try:
            self._await(lambda: self.status is not None and self.status.state == "closed")
        except HalError:
            self._wire.close()
            raise

    def move(self, opened: bool) -> None:
        """Be open, or closed, from now on; `poll` does it."""
        self._wanted = opened

    def poll(self) -> None:
        """Take what has come and ask what is next. Raises HalError; the next call begins with finding the step."""
        try:
            self._turn()
        except HalError:
            self.status, self._wanted = None, False  # whoever wants it open says so again
            self._begin()
            raise

    def close(self) -> None:
        """Close the blades, then the port; a unit that does not hear is left to its power and the enable line."""
        self._wanted = False
        with suppress(HalError):
            asked_ns = self._clock.now_ns()
            self._await(lambda: self.status is not None and self.status.t_ns >= asked_ns and not self._enabled)
        self._wire.close()

    def _await(self, done: Callable[[], bool]) -> None:
        """Turn until something is so. Raises HalError."""
        deadline = Deadline(self._clock, OPENING_S)
        while not done():
            if deadline.expired:
                raise DeviceError(f"{self._name}: its blades do not close; look at its cable to the shutter.")
            self.poll()
            self._clock.sleep_until(self._clock.now_ns() + TURN_NS)

    # The conversation

    def _begin(self) -> None:
        """From the start: a prompt may be missing, a reply on its way, the unit just switched on."""
        self._half = b""
        self._asked = b""
        self._asked_ns = 0
        self._enabled = True  # until it has said no
        self._talk = self._conversation()

    def _conversation(self) -> Talk:
        """Questions out, answers in, without end."""
        answer = yield b"id?"
        self.identity = {"model": "SC10", "firmware": answer.decode("latin-1")}
        for setting in SETTINGS:
            if said := (yield setting):
                raise self._nonsense(said)
        toggles = 0
        while True:
            self._enabled = self._flag((yield b"ens?"))
            if self._enabled != self._wanted:
                if (toggles := toggles + 1) > TOGGLES_MAX:
                    verb = "open" if self._wanted else "close"
                    raise DeviceError(f"{self._name}: it was told to {verb} and does not; check its key and its mode.")
                yield b"ens"
                continue
            toggles = 0
            closed = self._flag((yield b"closed?"))
            state: ShutterState = "unknown" if closed == self._enabled else "closed" if closed else "open"
            self.status = ShutterStatus(self._answered_ns(2), state, False)  # a no is told before its reason is asked
            if state == "unknown":
                self.status = replace(self.status, interlock_tripped=self._flag((yield b"interlock?")))

    def _turn(self) -> None:
        if not self._asked:
            self._wire.drain()
            self._ask(next(self._talk))
            return
        self._half += self._wire.drain()
        while PROMPT in self._half:
            said, _, self._half = self._half.partition(PROMPT)
            answer = self._answer_in(said)
            if answer is not None:
                self._ask(self._talk.send(answer))
                return
        if len(self._half) > LONGEST_REPLY:
            raise self._nonsense(self._half)
        if self._clock.now_ns() - self._asked_ns > REPLY_TIMEOUT_S * NS:
            raise WireTimeout(
                f"{self._name}: nothing from {self._wire.where} answers {self._asked!r} within {REPLY_TIMEOUT_S:g} s"
                f"{f', only {self._half[:64]!r}' if self._half else ''}; check its power, cable and baud rate "
                f"({self._wire.baud})."
            )

    def _answer_in(self, said: bytes) -> bytes | None:
        """What was answered to what was asked. What comes twice or late has the echo of another question, or none."""
        lines = [line for line in (part.strip(b" \n") for part in said.split(b"\r")) if line]
        if self._asked == b"id?":
            return lines[-1] if lines and MODEL in lines[-1] else None
        if self._asked not in lines:
            return None
        answer = lines[-1] if lines[-1] != self._asked else b""
        if b"error" in answer:
            raise DeviceError(f"{self._name}: {self._asked.decode()} is refused: {answer.decode('latin-1')!r}.")
        return answer

    def _ask(self, question: bytes) -> None:
        # the end completes half a question that may stand there
        self._asked, self._asked_ns = question, self._clock.now_ns()
        self._wire.write((b"\r" if question == b"id?" else b"") + question + b"\r")

    def _answered_ns(self, length: int) -> int:
        """When the unit answered with so many bytes: at the latest just before they crossed the line."""
        line_ns = round(10 * (length + len(PROMPT)) / self._wire.baud * NS) if self._wire.baud else 0
        return max(self._asked_ns, self._clock.now_ns() - line_ns)

    def _flag(self, answer: bytes) -> bool:
        if answer not in (b"0", b"1"):
            raise self._nonsense(answer)
        return answer == b"1"

    def _nonsense(self, got: bytes) -> ProtocolError:
        asked = self._asked.decode()
        return ProtocolError(f"{self._name}: sent {got[:64]!r} as answer to {asked}; check cable and baud rate.")
