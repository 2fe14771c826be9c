"""The instrument as its message exchange sees it: `execute(line)` in, a reply or None out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sim_hw.devices.scpi import tree
from sim_hw.devices.scpi.errors import ErrorQueue, ScpiError
from sim_hw.devices.scpi.status import Register
from sim_hw.devices.scpi.tree import Action, Node, Query
from sim_hw.devices.scpi.values import Choice, Number, boolean, nr3

_BYTE = Number("", 0, 255, 0)
_WORD = Number("", 0, 65535, 0)

#: Standard event status bits (IEEE 488.2 11.5.1) by class of error.
OPERATION_COMPLETE, QUERY_ERROR, DEVICE_ERROR, EXECUTION_ERROR, COMMAND_ERROR, POWER_ON = 1, 4, 8, 16, 32, 128

#: Status byte bits of the groups; bits 0 and 1 as Thorlabs assigns them, the rest as SCPI does.
GROUPS = {"MEASurement": 0, "AUXiliary": 1, "QUEStionable": 3, "OPERation": 7}


def _event_bit(code: int) -> int:
    if -200 < code <= -100:
        return COMMAND_ERROR
    if -300 < code <= -200:
        return EXECUTION_ERROR
    return QUERY_ERROR if -500 < code <= -400 else DEVICE_ERROR


class Scpi:
    """Command tree, status and error queue of one instrument.

    `identity` is the answer to *IDN?; `reset` does what *RST does; `pending_s` says how long operations that run
    in the background still take (what *OPC? waits for).
    """

    def __init__(self, identity: str, reset: Callable[[], None], pending_s: Callable[[], float] = lambda: 0.0) -> None:
        self.errors = ErrorQueue()
        self.groups = {name: Register() for name in GROUPS}
        self.message_available = False  # the transport keeps it: a reply waits to be read
        self._root = Node()
        self._event = POWER_ON
        self._event_enable = 0
        self._service_enable = 0
        self._busy_s = 0.0
        self._pending_s = pending_s
        self._common_query: dict[str, Callable[[], str]] = {
            "*IDN": lambda: identity,
            "*ESR": lambda: str(self._take_event()),
            "*ESE": lambda: str(self._event_enable),
            "*SRE": lambda: str(self._service_enable),
            "*STB": lambda: str(self.status_byte()),
            "*TST": lambda: "0",
            "*OPC": self._operation_complete,
        }
        self._common_action: dict[str, Callable[[], None]] = {
            "*CLS": self._clear_status,
            "*RST": reset,
            "*WAI": lambda: self.take_s(self._pending_s()),
            "*OPC": lambda: self._note(OPERATION_COMPLETE),
        }
        self.add("SYSTem:ERRor[:NEXT]", query=lambda _: self.errors.pop())
        self.add("SYSTem:VERSion", query=lambda _: "1999.0")
        self.add("STATus:PRESet", action=self._preset)
        for name, group in self.groups.items():
            self._add_group(name, group)

    def add(self, pattern: str, query: Query | None = None, action: Action | None = None) -> None:
        """Add a command in the manual's spelling (`[SENSe:]CORRection:WAVelength`)."""
        tree.add(self._root, pattern, query, action)

    def add_number(
        self,
        pattern: str,
        kind: Number,
        get: Callable[[], float],
        put: Callable[[float], None] | None = None,
        show: Callable[[float], str] = nr3,
    ) -> None:
        """Add a numeric setting with its query, `? MIN`, `? MAX` and `? DEF`."""

        def query(args: list[str]) -> str:
            if not args:
                return show(get())
            value = kind.bound(args[0])
            if value is None:
                raise ScpiError(-224, args[0])
            return show(value)

        self.add(pattern, query, None if put is None else lambda args: put(kind.parse(_one(args))))

    def add_switch(self, pattern: str, get: Callable[[], bool], put: Callable[[bool], None]) -> None:
        """Add an ON/OFF setting; its query answers 1 or 0."""
        self.add(pattern, lambda _: str(int(get())), lambda args: put(boolean(_one(args))))

    def add_choice(self, pattern: str, kind: Choice, get: Callable[[], str], put: Callable[[str], None]) -> None:
        """Add a setting that is one of a few mnemonics."""
        self.add(pattern, lambda _: get(), lambda args: put(kind.parse(_one(args))))

    def execute(self, line: str) -> str | None:
        """Run one program message; the replies of its queries joined by `;`, or None.

        After a command error the rest of the message is discarded, after an execution error it goes on
        (IEEE 488.2 chapter 11.5.1.1).
        """
        replies: list[str] = []
        path = self._root
        for unit in _split_outside_quotes(line.strip(), ";"):
            try:
                path, reply = self._run(path, unit.strip())
            except ScpiError as refused:
                self.error(refused.code, refused.detail)
                if _event_bit(refused.code) == COMMAND_ERROR:
                    break
            else:
                if reply is not None:
                    replies.append(reply)
        return ";".join(replies) if replies else None

    def error(self, code: int, detail: str = "") -> None:
        """Queue an error and set its bit in the standard event register."""
        self.errors.push(code, detail)
        self._note(_event_bit(code))

    def interrupted(self) -> None:
        """A new message came before the last reply was read (IEEE 488.2 6.3.2.3)."""
        self.error(-410)

    def unterminated(self) -> None:
        """The host wants to read and there is nothing to say (IEEE 488.2 6.3.2.2)."""
        self.error(-420)

    def status_byte(self) -> int:
        """The status byte with the master summary in bit 6."""
        byte = (4 if len(self.errors) else 0) | (16 if self.message_available else 0)
        byte |= 32 if self._event & self._event_enable else 0
        for name, bit in GROUPS.items():
            byte |= int(self.groups[name].summary) << bit
        return byte | (64 if byte & self._service_enable & ~64 else 0)

    def take_s(self, duration_s: float) -> None:
        """A handler says that the message takes this much longer."""
        self._busy_s += duration_s

    def busy_s(self) -> float:
        """How long the message just executed takes; reading it starts the next sum."""
        duration_s, self._busy_s = self._busy_s, 0.0
        return duration_s

    def _run(self, path: Node, unit: str) -> tuple[Node, str | None]:
        if not unit:
            return path, None
        header, *rest = unit.split(None, 1)
        args = [a.strip() for a in _split_outside_quotes(rest[0], ",")] if rest else []
        asks = header.endswith("?")
        header = header.removesuffix("?")
        if header.startswith("*"):
            return path, self._common(header.upper(), asks, args)
        node, parent = tree.find(self._root, path, header)
        if asks and node.query is not None:
            return parent, node.query(args)
        if not asks and node.action is not None:
            node.action(args)
            return parent, None
        raise ScpiError(-113, unit)

    def _common(self, header: str, asks: bool, args: list[str]) -> str | None:
        if asks and header in self._common_query:
            _none(args)
            return self._common_query[header]()
        if not asks and header in self._common_action:
            _none(args)
            self._common_action[header]()
        elif not asks and header == "*ESE":
            self._event_enable = round(_BYTE.parse(_one(args)))
        elif not asks and header == "*SRE":
            self._service_enable = round(_BYTE.parse(_one(args)))
        else:
            raise ScpiError(-113, header)
        return None

    def _preset(self, args: list[str]) -> None:
        _none(args)
        for group in self.groups.values():
            group.preset()

    def _operation_complete(self) -> str:
        self.take_s(self._pending_s())
        return "1"

    def _note(self, bit: int) -> None:
        self._event |= bit

    def _take_event(self) -> int:
        bits, self._event = self._event, 0
        return bits

    def _clear_status(self) -> None:
        self.errors.clear()
        self._event = 0
        for group in self.groups.values():
            group.event = 0

    def _add_group(self, name: str, group: Register) -> None:
        def setting(part: str, attribute: str) -> None:
            self.add_number(
                f"STATus:{name}:{part}",
                _WORD,
                lambda: getattr(group, attribute),
                lambda value: setattr(group, attribute, round(value)),
                lambda value: str(round(value)),
            )

        self.add(f"STATus:{name}[:EVENt]", query=lambda _: str(group.take_event()))
        self.add(f"STATus:{name}:CONDition", query=lambda _: str(group.condition))
        setting("ENABle", "enable")
        setting("PTRansition", "positive")
        setting("NTRansition", "negative")


def _one(args: list[str]) -> str:
    if not args:
        raise ScpiError(-109)
    if len(args) > 1:
        raise ScpiError(-108, args[1])
    return args[0]


def _none(args: list[str]) -> None:
    if args:
        raise ScpiError(-108, args[0])


def _split_outside_quotes(text: str, separator: str) -> Iterator[str]:
    start, quote = 0, ""
    for i, c in enumerate(text):
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c == separator:
            yield text[start:i]
            start = i + 1
    yield text[start:]
