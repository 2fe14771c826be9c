"""Moving a gimbal from a bench, without a station: by held keys, and to a mark. Whatever happens, it ends at rest."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from controller.errors import BoresightError
from controller.pointing.axis import NS
from controller.pointing.drive import loop_for, send
from controller.pointing.jog import Jog
from controller.pointing.targets import Fixed
from hal.clock import Clock
from hal.errors import HalError
from hal.traits import AxisPosition, Gimbal, Pair, RateGimbal

PERIOD_NS = NS // 20
STOP_TRIES = 3
Watch = Callable[[AxisPosition], str]  # why motion must end at once, or nothing
KEYS = {"left": (-1, 0), "right": (1, 0), "down": (0, -1), "up": (0, 1)}


class HandError(BoresightError):
    """The gimbal was not brought to where it was sent, or is not where it should be."""


def jog(
    gimbal: RateGimbal,
    clock: Clock,
    state: Jog,
    keys: Callable[[], str | None],
    watch: Watch,
    tell: Callable[[AxisPosition, Pair, str], None],
) -> None:
    """Turn the axes by keys until one says "quit"; `keys` never blocks: a key of KEYS, "stop", "quit" or None.

    Raises what the gimbal raises, and HandError when it does not acknowledge the last stop.
    """
    with _at_rest_after(gimbal):
        moving = False
        while (key := _newest(keys)) != "quit":
            now_ns = clock.now_ns()
            if key in KEYS:
                state.press(*KEYS[key], now_ns)
            elif key is not None:
                state.release()
            position = gimbal.position()
            rates, why = state.step(clock.now_ns(), position)
            if stop := watch(position):
                rates, why = (0.0, 0.0), stop
            if any(rates):
                gimbal.set_rate(*rates)
            elif moving:
                gimbal.stop()
            moving = any(rates)
            tell(position, rates, why)
            clock.sleep_until(max(clock.now_ns(), now_ns + PERIOD_NS))


def drive(
    gimbal: Gimbal, clock: Clock, to: Fixed, speed_rad_s: float, watch: Watch, tell: Callable[[AxisPosition], None]
) -> AxisPosition:
    """Bring both axes to an encoder direction at no more than `speed_rad_s`; the position in which they rest.

    Raises HandError when they do not arrive, and what the gimbal raises.
    """
    limits = gimbal.capabilities
    slow = replace(limits, rate_max_rad_s=min(speed_rad_s, limits.rate_max_rad_s))
    loop = loop_for(slow)
    loop.follow(to)
    deadline_ns = clock.now_ns() + round((3 * math.tau / slow.rate_max_rad_s + 30) * NS)
    with _at_rest_after(gimbal):
        while True:
            begin_ns = clock.now_ns()
            position = gimbal.position()
            rates, state = loop.step(begin_ns, 0, position, None, 0.0)
            tell(position)
            if state.activity == "hold" and state.settled:
                return position
            if why := watch(position):
                raise HandError(f"gimbal: stopped on its way: {why}.")
            if begin_ns > deadline_ns:
                raise HandError("gimbal: did not arrive in time; look for an obstruction, a clutch or a stuck axis.")
            send(gimbal, loop, rates, begin_ns, clock)
            clock.sleep_until(max(clock.now_ns(), begin_ns + PERIOD_NS))


@dataclass(frozen=True, slots=True)
class Mark:
    """What the encoders show when the mount stands on its mark (a scribed line, a level, a pin)."""

    azimuth_deg: float
    elevation_deg: float

    @classmethod
    def of(cls, position: AxisPosition) -> Mark:
        """The mark where the mount stands now."""
        return cls(round(math.degrees(position.azimuth_rad), 6) % 360, math.degrees(_signed(position.elevation_rad)))

    @property
    def direction(self) -> Fixed:
        """As the gimbal loop drives to it: always from the same side, so that play does not show."""
        return Fixed(math.radians(self.azimuth_deg), math.radians(self.elevation_deg), (1.0, 1.0))

    def off_deg(self, position: AxisPosition) -> Pair:
        """How far the encoders are from it, (azimuth, elevation) in degrees."""
        here = Mark.of(position)
        return math.remainder(here.azimuth_deg - self.azimuth_deg, 360), here.elevation_deg - self.elevation_deg

    def save(self, path: Path) -> None:
        """Write it as TOML."""
        text = f"# Encoder angles on the mount's mark.\nazimuth_deg = {self.azimuth_deg!r}\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}elevation_deg = {self.elevation_deg!r}\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Mark:
        """Read what `save` wrote. Raises HandError."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            return cls(float(table["azimuth_deg"]), float(table["elevation_deg"]))
        except FileNotFoundError:
            raise HandError(
                f"{path}: no mark is kept; jog to it and keep it with `boresight rig home --set-mark`."
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HandError(f"{path}: is no mark ({error}); set it again with --set-mark.") from None


@contextmanager
def _at_rest_after(gimbal: Gimbal) -> Iterator[None]:
    """Stop the axes on every way out, as often as it takes."""
    try:
        yield
    finally:
        for left in reversed(range(STOP_TRIES)):
            try:
                gimbal.stop()
                break
            except HalError as error:
                if not left:
                    raise HandError(f"{error} It did NOT acknowledge the stop: use the motion cut-off now.") from error


def _newest(keys: Callable[[], str | None]) -> str | None:
    """The last of the keys that wait; a slow mount must not be moved by keys of long ago. Quit wins over all."""
    newest = None
    while (key := keys()) is not None:
        newest = key
        if key == "quit":
            break
    return newest


def _signed(angle_rad: float) -> float:
    return math.remainder(angle_rad, math.tau)
