"""When a service is started again, and when it no longer is: the rules, and one service's deaths counted by them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from hal.clock import NS
from hal.rig_supervisor import NEVER, SupervisorSection

MOVER: Final = "pointing"  # a mount without a watchdog of its own goes on until this process is dead


@dataclass(frozen=True, slots=True)
class Rules:
    """What becomes of a process that dies, hangs or grows; `[supervisor]` of the rig file says it in the same words."""

    restart: frozenset[str]
    restart_delay_s: float
    restart_delay_max_s: float
    restarts_max: int
    restart_window_s: float
    start_timeout_s: float
    hung_after_s: float
    hung_moving_after_s: float
    memory_told_bytes: float
    memory_max_bytes: float
    memory_growth_told_bytes_h: float
    open_files_told: int
    park_timeout_s: float

    @classmethod
    def from_section(cls, section: SupervisorSection) -> Self:
        """As a rig file has them."""
        return cls(
            restart=frozenset(section.restart),
            restart_delay_s=section.restart_delay_s,
            restart_delay_max_s=section.restart_delay_max_s,
            restarts_max=section.restarts_max,
            restart_window_s=section.restart_window_min * 60,
            start_timeout_s=section.start_timeout_s,
            hung_after_s=section.hung_after_s,
            hung_moving_after_s=section.hung_moving_after_s,
            memory_told_bytes=section.memory_told_mb * 1e6,
            memory_max_bytes=section.memory_max_mb * 1e6,
            memory_growth_told_bytes_h=section.memory_growth_told_mb_h * 1e6,
            open_files_told=section.open_files_told,
            park_timeout_s=section.park_timeout_s,
        )

    def silence_ns(self, service: str) -> int:
        """How long a service may say nothing."""
        return round((self.hung_moving_after_s if service == MOVER else self.hung_after_s) * NS)


DEFAULT_RULES: Final = Rules.from_section(SupervisorSection())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows a death: a start at `due_ns`, or none. `sentence` ends one that begins with who died and how."""

    due_ns: int | None
    sentence: str
    crash_loop: bool = False


class Deaths:
    """The deaths of one service. Times are monotonic nanoseconds.

    A service that refuses to start, since a device is not there, has not crashed: it is tried for as long as it takes.
    """

    def __init__(self, service: str, rules: Rules, never: Mapping[str, str] = NEVER) -> None:
        self._service = service
        self._rules = rules
        self._never = never
        self._at_ns: deque[int] = deque()

    def died(self, now_ns: int) -> Verdict:
        """Count one, and say what follows."""
        rules = self._rules
        if self._service not in rules.restart:
            why = f" ({self._never[self._service]})" if self._service in self._never else ""
            return Verdict(None, f"and is not started again by itself{why}")
        self._at_ns.append(now_ns)
        while now_ns - self._at_ns[0] > rules.restart_window_s * NS:
            self._at_ns.popleft()
        count = len(self._at_ns)
        if count > rules.restarts_max:
            window = f"{rules.restart_window_s / 60:g} min"
            return Verdict(None, f"({count} deaths in {window}): it stays down and is not started again", True)
        delay_s = min(rules.restart_delay_s * 2.0 ** (count - 1), rules.restart_delay_max_s)
        return Verdict(now_ns + round(delay_s * NS), f"and is started again in {delay_s:g} s")

    def refused(self, now_ns: int) -> Verdict:
        """It was started again and says why it cannot run."""
        delay_s = self._rules.restart_delay_max_s
        return Verdict(now_ns + round(delay_s * NS), f"and is tried again every {delay_s:g} s")
