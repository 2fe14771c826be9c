from __future__ import annotations

import datetime as dt
import math
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from sim_hw.devices.beamboard import BeamBoard
from sim_hw.scenarios import load_scenario
from sim_hw.scene.earth import Site
from sim_hw.scene.sky import CatalogueStar
from sim_hw.scene.target import Target
from sim_hw.world import World

NS = 1_000_000_000
SITE = Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3)
# CelesTrak, active satellites of 2025-10-03.
TARGET = Target(
    "STARLINK-1008",
    "1 44714U 19074B   25276.13107144  .00025038  00000+0  16942-2 0  9995",
    "2 44714  53.0528 173.9279 0001574 105.0028 255.1136 15.06392841325008",
)
# 28 s before it culminates at 63 degrees.
NEARLY_HIGH_UTC_NS = int(dt.datetime(2025, 10, 4, 12, 43, 40, tzinfo=dt.UTC).timestamp()) * NS

MakeWorld = Callable[..., World]


class Follower:
    """Axes that follow where the target will be, told the truth about mount and play but not what the worm does."""

    def __init__(self, world: World, period_s: float = 0.05, knows_play: bool = True) -> None:
        self.world, self.period_s = world, period_s
        self.half_play_rad = 0.5 * world.gimbal.parameters.backlash_rad if knows_play else 0.0
        loads, later = self._loads(0.0), self._loads(0.01)
        for axis, rate in enumerate((later - loads) / 0.01):
            motor = loads[axis] + math.copysign(self.half_play_rad, rate)
            world.gimbal.state[axis] = (motor, rate, rate, loads[axis], loads[axis], rate, motor)
        self._step()

    def _loads(self, t_s: float) -> np.ndarray:
        d = self.world.directions(np.array([t_s]))
        wanted = np.array([d.azimuth_rad[0], d.elevation_rad[0]])
        axes = wanted.copy()
        for _ in range(4):
            seen = np.array(self.world.axis_boresight_rad(*axes))
            axes += (wanted - seen + np.pi) % (2 * np.pi) - np.pi
        return axes

    def _step(self) -> None:
        t_s = self.world.now_ns / NS
        wanted = self._loads(t_s + self.period_s)
        rates = (wanted - self._loads(t_s)) / self.period_s
        for axis, now in enumerate(self.world.gimbal.motor_rad()):
            motor = wanted[axis] + math.copysign(self.half_play_rad, rates[axis])
            turn = (motor - now + np.pi) % (2 * np.pi) - np.pi
            self.world.gimbal.set_rate(axis, turn / self.period_s)
        self.world.timeline.after(self.period_s, self._step)


class Host:
    """Speaks to the firmware as its protocol has it (firmware/core/bs_frame.h), on the timeline."""

    def __init__(self, world: World, board: BeamBoard) -> None:
        self.world, self.board = world, board
        self.sequence = 0
        self.enable = True
        self.talking = True
        board.attach(lambda data: None)

    def send(self, kind: int, payload: bytes) -> None:
        self.sequence += 1
        body = struct.pack("<HHB", len(payload), self.sequence, kind) + payload
        crc = 0xFFFF
        for byte in body:
            crc ^= byte << 8
            for _ in range(8):
                crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
        self.board.receive(b"\xa5\x5a" + body + struct.pack("<H", crc))

    def close_the_loop(self, gain: float = 0.012) -> None:
        """Integrator with the true matrix; slow enough for the mirror's resonance without a notch."""
        self.beat()
        to_mirror = np.linalg.inv(self.world._chain._fine.mirror_to_sky)  # type: ignore[attr-defined]
        for i, value in enumerate((to_mirror * 100e-6 / 1.596).flat):
            self.send(0x09, struct.pack("<Bf", 1 + i, value))
        self.send(0x09, struct.pack("<Bf", 0, gain))
        self.send(0x05, b"\x02")
        self.aim()

    def beat(self) -> None:
        if self.talking:
            self.send(0x04, bytes([self.enable]))
        self.world.timeline.after(0.05, self.beat)

    def aim(self) -> None:
        ahead = self.world.directions(np.array([self.world.now_ns / NS])).point_ahead_rad[0]
        x, y = np.linalg.inv(self.world._chain._fine.mirror_to_sky) @ ahead  # type: ignore[attr-defined]
        self.send(0x0A, struct.pack("<ff", x, y))
        self.world.timeline.after(0.1, self.aim)


def build(
    seed: int = 1,
    stars: list[CatalogueStar] | None = None,
    utc0_ns: int = NEARLY_HIGH_UTC_NS,
    **overrides: dict[str, object],
) -> World:
    return World(load_scenario("default", overrides), seed, utc0_ns, SITE, TARGET, stars or [])


def closed(world: World, lags: bool = True) -> Host:
    """Follow the target, laser on, loop closed."""
    board = BeamBoard()
    if lags:
        world.attach(board)
    else:
        world.attach_board(board.tick_address, board.board_address, board.io)
    Follower(world)
    host = Host(world, board)
    host.close_the_loop()
    world.set_laser(True, 1.0)
    return host


@pytest.fixture
def make_world() -> MakeWorld:
    """A world 28 s before a pass culminates; keyword arguments override sections of the scenario."""
    return build


@pytest.fixture
def close_all() -> Callable[..., Host]:
    return closed


@pytest.fixture
def follow() -> type[Follower]:
    return Follower


@cache
def _linked(overrides: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]) -> World:
    world = build(**{section: dict(keys) for section, keys in overrides})
    closed(world)
    world.advance(30 * NS)
    return world


@pytest.fixture
def linked() -> Callable[..., World]:
    """The world after 30 s of link around culmination (kept for the session: do not advance it)."""

    def make(**overrides: dict[str, object]) -> World:
        return _linked(tuple((section, tuple(keys.items())) for section, keys in overrides.items()))

    return make
