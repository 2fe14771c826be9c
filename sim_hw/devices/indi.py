"""An indiserver with a telescope, as far as its clients ask: INDI protocol 1.7 as libindi 1.9.9 speaks it.

A connection hears what changes once it has asked for properties. What is no message is skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from sim_hw.devices.encoders import Mount
from sim_hw.devices.indi_mount import IndiMount
from sim_hw.devices.indi_server import IndiServer
from sim_hw.timeline import Timeline

REPLY_DELAY_S = 0.001
LONGEST_MESSAGE = 16_384


class Indi:
    """A connection to the server; a SerialDevice. `another` is a further one."""

    def __init__(
        self, timeline: Timeline, mount: Mount, *, rate_max_rad_s: float, acceleration_max_rad_s2: float,
        equatorial: bool = False, follows: bool = False,
    ) -> None:  # fmt: skip
        axes = IndiMount(timeline, mount, rate_max_rad_s, acceleration_max_rad_s2, equatorial, follows)
        self.conditions = axes.conditions
        self._begin(timeline, IndiServer(timeline, axes))

    def another(self) -> Indi:
        """A further connection to the same server."""
        client = Indi.__new__(Indi)
        client.conditions = self.conditions
        client._begin(self._timeline, self._server)
        return client

    def _begin(self, timeline: Timeline, server: IndiServer) -> None:
        self._timeline, self._server = timeline, server
        self.listens = False  # it has asked for properties, and hears what becomes of them
        self._send: Callable[[bytes], None] = lambda data: None
        self._half = b""
        self._begin_message()
        server.join(self)

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Remember how to send bytes to the client."""
        self._send = send

    def say(self, text: str) -> None:
        """Messages for this client."""
        self._timeline.after(REPLY_DELAY_S, lambda: self._send(text.encode()))

    def receive(self, data: bytes) -> None:
        """Bytes of the client; does what every message says that they complete."""
        *tags, self._half = (self._half + data).split(b">")
        for tag in tags:
            try:
                self._parse(tag + b">")
            except (ParseError, ValueError):
                self._begin_message()
        self._half = self._half[-LONGEST_MESSAGE:]

    def _begin_message(self) -> None:
        self._parser: Any = XMLPullParser(("start", "end"))
        self._depth = self._bytes = 0

    def _parse(self, tag: bytes) -> None:
        if not self._bytes:
            tag = tag[max(0, tag.rfind(b"<")) :]  # what comes before a message is none
        self._parser.feed(tag)
        self._bytes += len(tag)
        for event, element in self._parser.read_events():
            self._depth += 1 if event == "start" else -1
            if event == "end" and self._depth == 0:
                self._take(element)
                self._begin_message()
                return
        if self._bytes > LONGEST_MESSAGE:
            self._begin_message()

    def _take(self, element: Element) -> None:
        name = element.get("name", "")
        if element.get("device", self._server.device) != self._server.device:
            return
        if element.tag == "getProperties":
            self.listens = True
            if told := self._server.definitions(name):
                self.say(told)
        elif element.tag in ("newSwitchVector", "newNumberVector"):
            self._server.set(name, {child.get("name", ""): (child.text or "").strip() for child in element})
