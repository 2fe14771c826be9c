"""A serial line over TCP with its settings and modem lines: RFC 2217, Telnet Com Port Control Option.

What a pseudo-terminal cannot carry arrives here: baud rate, parity, DTR, RTS, break, and CTS, DSR, DCD and RI back. A
host whose framing is not the device's reads and sends garbage, as on a real line. The line behind paces the bytes.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

from sim_hw.wires.line import SerialLine
from sim_hw.wires.modem import DeviceLines, Framing, HostLines, garbled
from sim_hw.wires.tcp import Connection, Listener, WriterReactor

# RFC 854, RFC 855
IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
BINARY, SUPPRESS_GO_AHEAD, COM_PORT = 0, 3, 44
TAKEN: Final = frozenset({BINARY, SUPPRESS_GO_AHEAD, COM_PORT})
# RFC 2217, section 2
SIGNATURE, BAUD, DATA_BITS, PARITY, STOP_BITS, CONTROL = range(6)
MODEM_STATE, LINE_MASK, MODEM_MASK, PURGE = 7, 10, 11, 12
ANSWER = 100
PARITIES = {1: "N", 2: "O", 3: "E", 4: "M", 5: "S"}
STOPS = {1: 1.0, 2: 2.0, 3: 1.5}
BREAK_ASKED, BREAK_ON, BREAK_OFF, DTR_ASKED, DTR_ON, DTR_OFF, RTS_ASKED, RTS_ON, RTS_OFF = range(4, 13)
NO_FLOW_CONTROL, NO_INBOUND_FLOW_CONTROL, INBOUND_ASKED = 1, 14, 13
PURGE_RECEIVED, PURGE_BOTH = 1, 3
OPTION_BYTES_MAX = 64
PUMP_NS = 1_000_000


class Rfc2217Server:
    """Serves `line` at rfc2217://127.0.0.1:PORT; one host at a time. `framing` is how the device's own port is set."""

    def __init__(self, line: SerialLine, reactor: WriterReactor, framing: Framing | None = None, port: int = 0) -> None:
        self.framing = framing or Framing(line.baud)
        self.host_framing = self.framing
        self.host_lines = HostLines()
        self.device_lines = DeviceLines()
        self._line = line
        self._reactor = reactor
        self._telnet: _Telnet | None = None
        self._pumping = False
        line.changed = self._changed
        self._listener = Listener(reactor, self._accepted, port)
        self.port = self._listener.port

    @property
    def resource(self) -> str:
        """The resource of this server for a rig file."""
        return f"rfc2217://127.0.0.1:{self.port}"

    def drive(self, lines: DeviceLines) -> None:
        """The device changes its modem lines; the host is told."""
        before, self.device_lines = self.device_lines, lines
        if self._telnet is not None:
            self._telnet.tell_modem_state(before, lines)

    def hang_up(self) -> None:
        """Drop the host; the listener stays."""
        if self._telnet is not None:
            self._telnet.close()

    def close(self) -> None:
        """Drop the host and stop listening."""
        self._line.changed = lambda: None
        self.hang_up()
        self._listener.close()

    def purge(self) -> None:
        """Forget what the host has not read."""
        self._line.host_read(self._line.available())

    def _accepted(self, peer: socket.socket) -> None:
        if self._telnet is not None:
            self._telnet.look()
        if self._telnet is not None or self._line.hung_up:
            peer.close()
            return
        self._telnet = _Telnet(self, self._reactor, peer, self._came, self._gone)
        self.host_lines = HostLines(dtr=True, rts=True, breaks=self.host_lines.breaks)

    def _gone(self) -> None:
        self._telnet = None
        self.host_lines.dtr = self.host_lines.rts = False

    def _came(self, data: bytes) -> None:
        self._line.host_write(data if self._understood else garbled(data))

    @property
    def _understood(self) -> bool:
        return self.framing.understands(self.host_framing)

    def _changed(self) -> None:
        if self._line.hung_up:
            self.hang_up()
        elif not self._pumping:
            self._pumping = True
            self._pump()

    def _pump(self) -> None:
        """Hand over what has arrived, and come back when more has."""
        data = self._line.host_read(self._line.available())
        if data and self._telnet is not None:
            self._telnet.send(data if self._understood else garbled(data))
        next_ns = self._line.available_at(1)
        self._pumping = next_ns is not None
        if next_ns is not None:
            timeline = self._line.timeline
            last_ns = self._line.all_available_at() or 0
            timeline.schedule(max(next_ns, min(timeline.now_ns + PUMP_NS, last_ns)), self._pump)


class _Telnet:
    """One host's connection: bytes and options apart."""

    def __init__(
        self,
        server: Rfc2217Server,
        reactor: WriterReactor,
        peer: socket.socket,
        came: Callable[[bytes], None],
        gone: Callable[[], None],
    ) -> None:
        self._server = server
        self._came = came
        self._agreed: set[tuple[int, int]] = set()
        self._option: bytearray | None = None  # inside of IAC SB ... IAC SE
        self._command = 0  # IAC, or the verb whose option is still to come
        self._modem_mask = 0xFF
        self._connection = Connection(reactor, peer, self._receive, gone)

    def close(self) -> None:
        self._connection.close()

    def look(self) -> None:
        self._connection.look()

    def send(self, data: bytes) -> None:
        self._connection.send(data.replace(b"\xff", b"\xff\xff"))

    def tell_modem_state(self, before: DeviceLines, now: DeviceLines) -> None:
        pairs = ((now.cts, before.cts), (now.dsr, before.dsr), (now.ri, before.ri), (now.dcd, before.dcd))
        state = sum((on << 4 | (on != was)) << bit for bit, (on, was) in enumerate(pairs))
        if state & self._modem_mask:
            self._answer(MODEM_STATE, bytes([state & self._modem_mask]))

    def _receive(self, data: bytes) -> None:
        plain = bytearray()
        for byte in data:
            if self._command == 0:
                if byte == IAC:
                    self._command = IAC
                elif self._option is not None:
                    self._option.append(byte)
                    if len(self._option) > OPTION_BYTES_MAX:
                        self._option = None  # nobody's option is that long
                else:
                    plain.append(byte)
            elif self._command == IAC:
                self._command = self._after_iac(byte, plain)
            else:
                verb, self._command = self._command, 0
                self._negotiate(verb, byte)
        if plain:
            self._came(bytes(plain))

    def _after_iac(self, byte: int, plain: bytearray) -> int:
        """What the byte after IAC means; returns the verb that waits for its option, or 0."""
        if byte == IAC:
            (plain if self._option is None else self._option).append(IAC)
        elif byte in (DO, DONT, WILL, WONT):
            return byte
        elif byte == SB:
            self._option = bytearray()
        elif byte == SE and self._option is not None:
            option, self._option = bytes(self._option), None
            if len(option) >= 2 and option[0] == COM_PORT:
                self._obey(option[1], option[2:])
        return 0

    def _negotiate(self, verb: int, option: int) -> None:
        """RFC 854: agree to what we know, refuse the rest, and say nothing twice."""
        if verb in (DONT, WONT):
            self._agreed.discard((verb - 1, option))
            return
        if option not in TAKEN:
            self._connection.send(bytes([IAC, WONT if verb == DO else DONT, option]))
        elif (verb, option) not in self._agreed:
            self._agreed.add((verb, option))
            self._connection.send(bytes([IAC, WILL if verb == DO else DO, option]))
            if (verb, option) == (WILL, COM_PORT):
                self.tell_modem_state(self._server.device_lines, self._server.device_lines)

    def _obey(self, command: int, value: bytes) -> None:
        server = self._server
        f = server.host_framing
        number = int.from_bytes(value[:4], "big")  # no value of the protocol is longer
        if command == SIGNATURE:
            self._answer(SIGNATURE, b"Boresight emulated line")
        elif command == BAUD:
            server.host_framing = f = Framing(number or f.baud, f.data_bits, f.parity, f.stop_bits)
            self._answer(BAUD, f.baud.to_bytes(4, "big"))
        elif command == DATA_BITS:
            bits = number if 5 <= number <= 8 else f.data_bits
            server.host_framing = Framing(f.baud, bits, f.parity, f.stop_bits)
            self._answer(DATA_BITS, bytes([bits]))
        elif command == PARITY:
            parity = PARITIES.get(number, f.parity)
            server.host_framing = Framing(f.baud, f.data_bits, parity, f.stop_bits)
            self._answer(PARITY, bytes([next(code for code, name in PARITIES.items() if name == parity)]))
        elif command == STOP_BITS:
            stop = STOPS.get(number, f.stop_bits)
            server.host_framing = Framing(f.baud, f.data_bits, f.parity, stop)
            self._answer(STOP_BITS, bytes([next(code for code, bits in STOPS.items() if bits == stop)]))
        elif command == CONTROL:
            self._control(number)
        elif command in (LINE_MASK, MODEM_MASK):
            if command == MODEM_MASK:
                self._modem_mask = number & 0xFF
            self._answer(command, bytes([number & 0xFF]))
        elif command == MODEM_STATE:  # a client may ask for it
            self.tell_modem_state(server.device_lines, server.device_lines)
        elif command == PURGE:
            if number in (PURGE_RECEIVED, PURGE_BOTH):
                server.purge()
            self._answer(PURGE, bytes([number & 0xFF]))

    def _control(self, wish: int) -> None:
        lines = self._server.host_lines
        if wish in (BREAK_ON, BREAK_OFF):
            lines.breaks += wish == BREAK_ON and not lines.brk
            lines.brk = wish == BREAK_ON
        elif wish in (DTR_ON, DTR_OFF):
            lines.dtr = wish == DTR_ON
        elif wish in (RTS_ON, RTS_OFF):
            lines.rts = wish == RTS_ON
        if BREAK_ASKED <= wish <= BREAK_OFF:
            told = BREAK_ON if lines.brk else BREAK_OFF
        elif DTR_ASKED <= wish <= DTR_OFF:
            told = DTR_ON if lines.dtr else DTR_OFF
        elif RTS_ASKED <= wish <= RTS_OFF:
            told = RTS_ON if lines.rts else RTS_OFF
        else:
            told = NO_INBOUND_FLOW_CONTROL if wish >= INBOUND_ASKED else NO_FLOW_CONTROL
        self._answer(CONTROL, bytes([told]))

    def _answer(self, command: int, value: bytes) -> None:
        told = value.replace(b"\xff", b"\xff\xff")
        self._connection.send(bytes([IAC, SB, COM_PORT, ANSWER + command]) + told + bytes([IAC, SE]))
