"""The fault panel of a bench: what is wrong now, and what will be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sim_hw.faults.table import FaultError, word_named
from sim_hw.faults.wires import Carrier, counted, spoiler
from sim_hw.timeline import Timeline
from sim_hw.wires.contract import Condition

CAMERA_TIMES = 1000  # a camera's stream is that much faster than a serial line
_CABLE = ("hang_up", "replug")


@dataclass
class Reach:
    """How the panel reaches a device: its wire, its cable, and the conditions that its emulator knows."""

    carrier: Carrier
    unplug: Callable[[], None]
    plug: Callable[[], None]
    conditions: Mapping[str, Condition] = field(default_factory=dict)


class Faults:
    """Starts, clears and schedules faults; `rng` is theirs alone."""

    def __init__(self, timeline: Timeline, rng: np.random.Generator, reach: Mapping[str, Reach]) -> None:
        self._timeline = timeline
        self._rng = rng
        self._reach = reach
        self._active: dict[str, str] = {}
        self._heard = dict.fromkeys(reach, 0)
        self._waiting: dict[str, list[tuple[int, Callable[[], None]]]] = {device: [] for device in reach}
        self._touched = 0
        for device in reach:
            reach[device].carrier.heard = self._counter(device)

    @property
    def active(self) -> dict[str, str]:
        """Device -> word of what is wrong now."""
        return dict(self._active)

    @property
    def touched(self) -> int:
        """What faults have done so far: replies spoiled, commands not heard, conditions entered, cables pulled."""
        return self._touched

    def start(
        self,
        device: str,
        word: str,
        *,
        for_s: float | None = None,
        for_commands: int | None = None,
        parameters: Mapping[str, float] | None = None,
    ) -> None:
        """Begin a fault; a device has one at a time, the newest. Raises FaultError."""
        self._begin(device, word, for_s, for_commands, parameters or {})

    def clear(self, device: str | None = None) -> None:
        """End what is wrong with a device, or with all: cables are put back."""
        for name in [device] if device is not None else list(self._active):
            word = self._active.pop(name, None)
            if word is None:
                continue
            reach = self._reach[name]
            if word in reach.conditions:
                reach.conditions[word](None)
            if word in _CABLE:
                reach.plug()
            reach.carrier.fault, reach.carrier.deaf = None, False

    def at(
        self,
        device: str,
        word: str,
        *,
        at_s: float | None = None,
        at_command: int | None = None,
        for_s: float | None = None,
        for_commands: int | None = None,
        parameters: Mapping[str, float] | None = None,
    ) -> None:
        """Begin a fault later: at a time of the bench, or when the device hears its nth command. Raises FaultError."""
        given = dict(parameters or {})
        word_named(word, device).settings(given)
        if (at_s is None) == (at_command is None):
            raise FaultError(f"{device} {word}: give at_s or at_command, one of them.")
        if device not in self._reach:
            raise FaultError(f"{device} is not emulated here; there are {', '.join(self._reach)}.")

        def begin() -> None:
            self._begin(device, word, for_s, for_commands, given)

        if at_s is not None:
            self._timeline.schedule(round(at_s * 1e9), begin)
        elif at_command is not None:
            self._waiting[device].append((at_command, begin))

    def _begin(
        self, device: str, word: str, for_s: float | None, for_commands: int | None, given: Mapping[str, float]
    ) -> None:
        settings = word_named(word, device).settings(given)
        if device not in self._reach:
            raise FaultError(f"{device} is not emulated here; there are {', '.join(self._reach)}.")
        reach = self._reach[device]
        self.clear(device)
        self._active[device] = word
        if word in reach.conditions:
            reach.conditions[word](settings)
            self._touch()
        if word in _CABLE:
            reach.unplug()
            self._touch()
            if word == "replug":
                self.clear(device)
        elif word == "off" or word not in reach.conditions:  # without power it is mute, whatever else it is
            if word == "slow" and device == "camera":
                settings["bytes_s"] *= CAMERA_TIMES
            reach.carrier.fault = counted(spoiler(word, settings, self._timeline, self._rng), self._touch)
            reach.carrier.deaf = word == "off"
        if for_s is not None:
            self._timeline.after(for_s, lambda: self._end(device, word))
        if for_commands is not None:
            self._waiting[device].append((self._heard[device] + for_commands, lambda: self._end(device, word)))

    def _end(self, device: str, word: str) -> None:
        if self._active.get(device) == word:
            self.clear(device)

    def _touch(self) -> None:
        self._touched += 1

    def _counter(self, device: str) -> Callable[[], None]:
        def heard() -> None:
            self._heard[device] += 1
            if self._reach[device].carrier.deaf:
                self._touch()
            due = [wait for wait in self._waiting[device] if wait[0] <= self._heard[device]]
            for wait in due:
                self._waiting[device].remove(wait)
                wait[1]()

        return heard
