"""Hamlib's rotctld with a rotator behind it, as far as its clients ask: rotctld(1), default and extended protocol.

The numbers of a command may come in the lines after it. What it does not know it does not answer. It is no server: the
bytes come over any stream.
"""

from __future__ import annotations

from collections.abc import Callable

from sim_hw.devices.encoders import AZIMUTH, ELEVATION, Mount
from sim_hw.devices.line_device import LineDevice
from sim_hw.devices.travel import Travel
from sim_hw.timeline import Timeline

STOPS_DEG = ((-180.0, 450.0), (0.0, 90.0))
SHORT = {"p": "get_pos", "P": "set_pos", "S": "stop", "K": "park", "M": "move", "_": "get_info", "q": "quit"}
NUMBERS = {"set_pos": 2, "move": 2}
MOVES = {"2": (ELEVATION, 1), "4": (ELEVATION, -1), "8": (AZIMUTH, -1), "16": (AZIMUTH, 1)}
EINVAL = -1
STATE = (
    "1\n1\nmin_az=-180.000000\nmax_az=450.000000\nmin_el=0.000000\nmax_el=90.000000\n"
    "south_zero=0\nrot_type=AzEl\ndone\n"
)


class Rotctld(LineDevice):
    """The program and its rotator; a SerialDevice."""

    end = b""

    def __init__(
        self, timeline: Timeline, mount: Mount, *, rate_max_rad_s: float, acceleration_max_rad_s2: float
    ) -> None:
        super().__init__(timeline)
        self._travel = Travel(
            timeline, mount, rate_max_rad_s=rate_max_rad_s, acceleration_max_rad_s2=acceleration_max_rad_s2,
            stops_deg=STOPS_DEG,
        )  # fmt: skip
        self.conditions = self._travel.conditions
        self._waiting: list[str] = []  # a command whose numbers have not all come
        self._does: dict[str, Callable[[list[str]], str | int]] = {
            "get_pos": lambda words: "{:.2f}\n{:.2f}\n".format(*self._travel.angles_deg()),
            "get_info": lambda words: "Boresight's emulated rotator\n",
            "dump_state": lambda words: STATE,
            "set_pos": self._set_position,
            "stop": lambda words: self._stop(),
            "park": lambda words: self._park(),
            "move": self._move,
        }

    def answer(self, line: str) -> str:
        """What is answered to a line; a line may complete the command of the lines before."""
        words = self._waiting + line.split()
        self._waiting = []
        if not words:
            return ""
        extended = words[0].startswith("+")
        word = words[0].removeprefix("+")
        name = word.removeprefix("\\") if word.startswith("\\") else SHORT.get(word, "")
        if name not in self._does:
            return ""
        if len(words) <= NUMBERS.get(name, 0):
            self._waiting = words
            return ""
        told = self._does[name](words[1:])
        if isinstance(told, int):
            return (f"{' '.join([name + ':', *words[1:]])}\n" if extended else "") + f"RPRT {told}\n"
        if extended and name == "get_pos":
            azimuth, elevation = told.split()
            told = f"Azimuth: {azimuth}\nElevation: {elevation}\n"
        return f"{name}:\n{told}RPRT 0\n" if extended else told

    def _set_position(self, words: list[str]) -> int:
        try:
            azimuth, elevation = (float(word) for word in words[:2])
        except ValueError:
            return EINVAL
        for angle, (low, high) in zip((azimuth, elevation), STOPS_DEG, strict=True):
            if not low <= angle <= high:
                return EINVAL
        self._travel.go(azimuth, elevation)
        return 0

    def _stop(self) -> int:
        self._travel.stop()
        return 0

    def _park(self) -> int:
        self._travel.go(0.0, 0.0)
        return 0

    def _move(self, words: list[str]) -> int:
        if words[0] not in MOVES:
            return EINVAL
        self._travel.turn(*MOVES[words[0]])
        return 0
