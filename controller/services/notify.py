"""What a service manager is told: ready, status, still alive, stopping. Source: sd_notify(3), "Notes" (the protocol).

Datagrams of `KEY=value` lines to the socket that NOTIFY_SOCKET names. Without that variable nothing is sent.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from typing import Final, Self

from hal.clock import NS, Clock

SHARE: Final = 3  # alive is said this many times in the time after which the manager acts
STATUS_NS: Final = NS


class ServiceManager:
    """The manager that started this process, if any."""

    def __init__(self, clock: Clock, address: str = "", watchdog_s: float = 0.0) -> None:
        self._clock = clock
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) if address else None
        self._alive_ns = round(watchdog_s * NS / SHARE)
        self._alive_due_ns = 0
        self._status = ""
        self._status_due_ns = 0
        self._ready = False

    @classmethod
    def of_this_process(cls, clock: Clock, environment: MutableMapping[str, str] = os.environ) -> Self:
        """As NOTIFY_SOCKET and WATCHDOG_USEC say. Taken out: what this process starts does not speak for it."""
        address = environment.pop("NOTIFY_SOCKET", "")
        watchdog_us, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        meant = address[:1] in {"/", "@"} and watchdog_us.isdigit() and pid in {"", str(os.getpid())}
        return cls(clock, address if address[:1] in {"/", "@"} else "", int(watchdog_us) * 1e-6 if meant else 0.0)

    def ready(self) -> None:
        """The station runs; said until the manager has taken it."""
        if not self._ready:
            self._ready = self._send("READY=1")

    def alive(self) -> None:
        """Everything that should run does, or its end is told; said as often as the watchdog wants it."""
        now_ns = self._clock.now_ns()
        if self._alive_ns and now_ns >= self._alive_due_ns:
            self._alive_due_ns = now_ns + self._alive_ns
            self._send("WATCHDOG=1")

    def status(self, sentence: str) -> None:
        """For whoever asks the manager; said when it changes, at most once a second."""
        now_ns = self._clock.now_ns()
        if sentence != self._status and now_ns >= self._status_due_ns:
            self._status, self._status_due_ns = sentence, now_ns + STATUS_NS
            self._send(f"STATUS={' '.join(sentence.split())}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> bool:
        if self._socket is not None:
            try:
                self._socket.sendto(text.encode(), self._address)
            except OSError:  # a manager that is gone or busy is no reason to stop
                return False
        return True
