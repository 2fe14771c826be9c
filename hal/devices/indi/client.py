"""A client of an INDI server: ask for a property of a device, set one, and see what became of it.

INDI protocol 1.7: a property is a vector with a state. Answers have no numbers, but a driver answers in order: every
command is followed by a question for its own vector, whose `def...Vector` tells what became of it. `set...Vector`
comes at any time and is no answer; it is remembered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from hal.clock import Clock, Deadline
from hal.devices.indi.messages import Message, Messages
from hal.errors import DeviceError, ProtocolError, WireTimeout
from hal.wires.stream import StreamWire

REPLY_TIMEOUT_S = 0.8
INTRODUCTION_TIMEOUT_S = 2.0  # of the first telescope
INTRODUCTION_S = 0.5  # all of a server's drivers are asked at once; another telescope has introduced itself by then
PROBES = 2
PROBE_TIMEOUT_S = 0.5  # a question and an answer on a network; the server answers from its memory
MOST_VECTORS = 1024  # that are remembered: of a hundred devices
READ_BYTES = 4096
MUCH_BYTES = 16_384  # that came by themselves: nobody has listened for long
CATCH_UP_S, QUIET_S = 1.0, 0.02
TELESCOPE = 1  # bit of DRIVER_INTERFACE
INFO, CONNECTION = "DRIVER_INFO", "CONNECTION"


@dataclass(frozen=True, slots=True)
class Vector:
    """A property as it was last told: its state, the text of each element, and whether it can be set."""

    state: str
    values: dict[str, str]
    settable: bool


class Client:
    """Talks to the devices of one server, and remembers their properties of these `names`.

    `asked_ns` is when the latest question went out.
    """

    def __init__(self, wire: StreamWire, clock: Clock, names: frozenset[str]) -> None:
        self.asked_ns = 0
        self._wire, self._clock = wire, clock
        self._names = names | {INFO, CONNECTION}
        self._messages = Messages()
        self._known: dict[tuple[str, str], Vector] = {}
        self._ordered = self._said = ""  # whom the latest command was for, and its latest words since
        self._answered: set[tuple[str, str]] = set()  # what was defined since the latest question
        self._in_step = True

    def telescopes(self) -> Iterator[str]:
        """Each telescope as soon as it introduces itself, for as long as that takes.

        Raises WireTimeout: there is none.
        """
        self._wire.write(b"<getProperties version='1.7'/>")
        deadline = Deadline(self._clock, INTRODUCTION_TIMEOUT_S)
        found: list[str] = []
        while not deadline.expired:
            try:
                self._hear(deadline)
            except WireTimeout:
                break
            for (device, name), vector in list(self._known.items()):
                interface = vector.values.get("DRIVER_INTERFACE", "")
                if name != INFO or device in found or not (interface.isdecimal() and int(interface[:9]) & TELESCOPE):
                    continue
                if not found:
                    deadline = Deadline(self._clock, INTRODUCTION_S)
                found.append(device)
                yield device
        if not found:
            raise WireTimeout(
                f"{self._wire.name}: no telescope introduces itself at {self._wire.where}; check that it is an "
                "indiserver, and that it was started with the driver of the telescope."
            )

    def known(self, device: str, name: str) -> Vector | None:
        """A vector as last told; None where the device has none of that name."""
        return self._known.get((device, name))

    def ask(self, device: str, name: str, wanted: str = "") -> Vector:
        """A vector as it is now. Raises WireTimeout, WireError; ProtocolError: nonsense came instead of it."""
        return self._asked(device, name, b"", REPLY_TIMEOUT_S, wanted)

    def order(
        self, device: str, kind: str, name: str, values: dict[str, str], timeout_s: float = REPLY_TIMEOUT_S
    ) -> Vector:
        """Set elements of a vector, `kind` is Switch or Number, and say what became of it.

        Raises as `ask`, and DeviceError when the device refuses, or has no such elements.
        """
        known = self.known(device, name)
        if known is None or not known.values.keys() >= values.keys():
            raise DeviceError(f"{self._wire.name}: {device} has no {name} with {', '.join(values)}.")
        self._ordered, self._said = device, ""
        told = self._asked(device, name, command(device, kind, name, values), timeout_s, "")
        if told.state == "Alert":
            raise self.refused(device, name)
        return told

    def shout(self, data: bytes) -> None:
        """Send commands at once, whatever is under way, and wait for nothing."""
        self._wire.write(data)

    def refused(self, device: str, name: str) -> DeviceError:
        """The error for a command that was not taken, with the device's words where it had some."""
        why = self._said or "it does not say why; see the server's log"
        return DeviceError(f"{self._wire.name}: {device} refuses {name}: {why}.")

    def nonsense(self, wanted: str, got: object) -> ProtocolError:
        """The error for an answer that the protocol does not allow."""
        return ProtocolError(f"{self._wire.name}: sent {got!r} instead of {wanted}; check {self._wire.where}.")

    def _asked(self, device: str, name: str, before: bytes, timeout_s: float, wanted: str) -> Vector:
        if not (self._catches_up() and self._in_step):
            self._find_step(device)
        self._in_step = False  # until the answer is here
        self.asked_ns = self._clock.now_ns()
        self._wire.write(before + _question(device, name))
        self._await(device, name, Deadline(self._clock, timeout_s), wanted or name)
        self._in_step = True
        return self._known[device, name]

    def _catches_up(self) -> bool:
        """Take what came by itself; False when it was so much that the server may have kept more for later."""
        data = self._wire.drain()
        self._take(data)
        if len(data) < MUCH_BYTES:
            return True
        deadline = Deadline(self._clock, CATCH_UP_S)
        while len(data) >= MUCH_BYTES:
            if deadline.expired:
                raise WireTimeout(f"{self._wire.name}: {self._wire.where} tells more than can be heard; see its log.")
            data = self._wire.drain(QUIET_S)
            self._take(data)
        return False

    def _find_step(self, device: str) -> None:
        """Ask what is asked nowhere else, so that a late answer is never the next one's."""
        for _ in range(PROBES):
            self._wire.write(_question(device, INFO))
            try:
                self._await(device, INFO, Deadline(self._clock, PROBE_TIMEOUT_S), INFO)
            except (WireTimeout, ProtocolError):
                continue
            return
        raise WireTimeout(
            f"{self._wire.name}: {device} does not answer; check indiserver, its driver, and {self._wire.where}."
        )

    def _await(self, device: str, name: str, deadline: Deadline, wanted: str) -> None:
        self._answered.clear()
        self._messages.noise = b""
        while (device, name) not in self._answered:
            try:
                self._hear(deadline)
            except WireTimeout:
                if self._messages.noise:
                    raise self.nonsense(wanted, self._messages.noise) from None
                raise

    def _hear(self, deadline: Deadline) -> None:
        if deadline.expired:  # it speaks without end, and never to the point
            raise WireTimeout(f"{self._wire.name}: no answer came in time; check indiserver and {self._wire.where}.")
        self._take(self._wire.read_some(READ_BYTES, deadline.remaining_s))

    def _take(self, data: bytes) -> None:
        for message in self._messages.feed(data):
            if message.device == self._ordered and (said := message.attributes.get("message")):
                self._said = said.rpartition("] ")[2].rstrip(".")  # libindi begins with "[ERROR] "
            if message.tag == "delProperty":
                self._forget(message)
            elif message.tag != "message":
                self._told(message)

    def _forget(self, message: Message) -> None:
        for device, name in list(self._known):
            if device == message.device and name == (message.name or name):
                del self._known[device, name]
                self._answered.discard((device, name))  # told and taken back in one breath

    def _told(self, message: Message) -> None:
        if message.name not in self._names:
            return
        key = message.device, message.name
        before = self._known.get(key)
        state = message.attributes.get("state", before.state if before else "")
        if message.tag.startswith("def"):
            if before is None and len(self._known) >= MOST_VECTORS:
                return
            self._known[key] = Vector(state, message.values, message.attributes.get("perm", "") != "ro")
            self._answered.add(key)
        elif before is not None:
            told = {name: value for name, value in message.values.items() if name in before.values}
            self._known[key] = Vector(state, before.values | told, before.settable)


def command(device: str, kind: str, name: str, values: dict[str, str]) -> bytes:
    """The message that sets elements of a vector."""
    elements = "".join(f"<one{kind} name={quoteattr(key)}>{escape(to)}</one{kind}>" for key, to in values.items())
    vector = f"<new{kind}Vector device={quoteattr(device)} name={quoteattr(name)}>{elements}</new{kind}Vector>"
    return vector.encode()


def _question(device: str, name: str) -> bytes:
    return f"<getProperties version='1.7' device={quoteattr(device)} name={quoteattr(name)}/>".encode()
