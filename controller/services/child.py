"""A service's process and what is known of it: started, heard, dead, to be started again."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Literal

from controller.services.launch import Launch
from controller.services.resources import Usage, Watch
from controller.services.rules import Deaths, Rules
from hal.clock import NS

STUCK_NS: Final = 5 * NS
State = Literal["starting", "running", "ending", "restarting", "down"]


@dataclass
class Child:
    """One service. Times are monotonic nanoseconds."""

    launch: Launch
    process: subprocess.Popen[bytes]
    log: Path
    deaths: Deaths
    watch: Watch
    started_ns: int
    heard_ns: int | None = None  # the latest sign of life of this start
    gone: bool = False
    reason: str = ""  # why the supervisor ends it
    kill_due_ns: int | None = None
    restart_due_ns: int | None = None
    restarts: int = 0
    used: Usage | None = None
    told: str = field(default="")

    @property
    def seen(self) -> bool:
        """Whether this start has been heard."""
        return self.heard_ns is not None

    @property
    def state(self) -> State:
        """In one word."""
        if self.gone:
            return "down" if self.restart_due_ns is None else "restarting"
        if self.reason:
            return "ending"
        return "running" if self.seen else "starting"

    def hung(self, now_ns: int, watching_since_ns: int, rules: Rules) -> str:
        """How long it has said nothing, when that is too long; empty otherwise."""
        if self.heard_ns is None:
            limit_ns = round(rules.start_timeout_s * NS)
            since_ns, what = self.started_ns, "no heartbeat since its start"
        else:
            limit_ns, since_ns, what = rules.silence_ns(self.launch.service), self.heard_ns, "no heartbeat"
        silent_ns = now_ns - max(since_ns, watching_since_ns)
        return f"hangs ({what} for {silent_ns / NS:.1f} s)" if silent_ns > limit_ns else ""

    def stuck(self, now_ns: int) -> bool:
        """Whether it has outlived its SIGKILL: a driver in the kernel does not let go of it."""
        return not self.gone and self.kill_due_ns is not None and now_ns - self.kill_due_ns > STUCK_NS

    def how(self, code: int) -> str:
        """The way in which it has ended."""
        if self.reason:
            return self.reason
        if code < 0:
            return f"was killed by {signal_name(-code)}"
        return "ended by itself" if code == 0 else f"died with exit code {code}"

    def last_line(self) -> str:
        """Of its log."""
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()
        except OSError as error:
            return f"{self.log} cannot be read: {error.strerror}"
        return lines[-1] if lines else f"{self.log.name} is empty"


def signal_name(number: int) -> str:
    """As people know it; those for real time have numbers only."""
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def start(launch: Launch, log: Path) -> subprocess.Popen[bytes]:
    """A service's process, its words in the log, whose folder somebody may have tidied away. Raises OSError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return _process(launch, file)


def start_again(launch: Launch, log: Path) -> tuple[subprocess.Popen[bytes], str]:
    """As `start`, without a log where it cannot be opened, and why not. Raises OSError when no process can be made."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = log.open("ab")
    except OSError as error:
        return _process(launch, subprocess.DEVNULL), f"{log} cannot be opened: {error.strerror}"
    with file:
        return _process(launch, file), ""


def _process(launch: Launch, words: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """In a session of its own: what a terminal sends (Ctrl-C, Ctrl-Z, its closing) is the supervisor's to deal with."""
    command = [sys.executable, "-m", "controller.services.host", launch.encode()]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True)
