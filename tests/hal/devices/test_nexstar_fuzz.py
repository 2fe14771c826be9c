"""Whatever the line does to replies and commands, the NexStar driver tells the truth or raises, and comes back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.services.lockstep import Lockstep
from hal.devices.nexstar import NexStar
from hal.errors import HalError
from sim_hw.devices.nexstar import NexStar as EmulatedNexStar
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving

AZIMUTH_RAD, ELEVATION_RAD = 1.25, -0.5


class StillAxes:
    """Axes that stand where they are and remember what they were told."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def encoder_rad(self) -> tuple[float, float]:
        return AZIMUTH_RAD, ELEVATION_RAD

    def set_rate(self, axis: int, rate_rad_s: float) -> None:
        self.rates.append(rate_rad_s)


def spoilt(data: bytes, how: tuple[str, int, bytes]) -> bytes:
    kind, where, junk = how
    where %= len(data) + 1
    match kind:
        case "cut":
            return data[:where]
        case "lose":
            return data[:where] + data[where + 1 :]
        case "insert":
            return data[:where] + junk + data[where:]
        case "replace":
            return junk
        case "twice":
            return data + data
        case _:
            return data


DIGITS = b"0123456789ABCDEFabcdef"


def without_new_digits(hows: list[tuple[str, int, bytes]]) -> list[tuple[str, int, bytes]]:
    """Where digits are lost, none comes from elsewhere: both make a well-formed angle, and the line has no checksum."""
    if not any(kind == "lose" for kind, _, _ in hows):
        return hows
    return [(kind, where, bytes(byte for byte in junk if byte not in DIGITS)) for kind, where, junk in hows]


spoils = st.lists(
    st.tuples(
        st.sampled_from(["right", "cut", "lose", "insert", "replace", "twice"]),
        st.integers(0, 20),
        st.binary(max_size=20).filter(lambda junk: b"," not in junk),  # no junk that is itself a well-formed angle
    ),
    min_size=1,
    max_size=12,
).map(without_new_digits)


@settings(max_examples=60, deadline=None)
@given(hows=spoils)
def test_a_driver_tells_the_truth_or_raises_and_recovers(hows: list[tuple[str, int, bytes]]) -> None:
    timeline = Timeline()
    axes = StillAxes()
    line = SerialLine(timeline, EmulatedNexStar(timeline, axes, np.random.default_rng(1)), 9600)
    clock = Lockstep(timeline)
    with serving({"fuzz": line}, clock):
        gimbal = NexStar(
            "simhw://fuzz", 9600, clock, rate_max_rad_s=0.05, acceleration_max_rad_s2=0.03, command_latency_s=0.075
        )
        left = list(hows)
        line.spoil = lambda data: spoilt(data, left.pop()) if left else data
        for turn in range(60):
            try:
                position = gimbal.position()
                assert position.azimuth_rad == pytest.approx(AZIMUTH_RAD, abs=1e-6)
                assert position.elevation_rad == pytest.approx(ELEVATION_RAD, abs=1e-6)
                gimbal.set_rate(0.01, -0.02)
            except HalError:
                continue
            if turn > len(hows) and not left:
                break
        else:
            pytest.fail("the driver did not recover")
        gimbal.close()

    assert {round(rate, 4) for rate in axes.rates} <= {0.0, 0.01, -0.02}  # no command was ever garbled into another


@settings(max_examples=100, deadline=None)
@given(chunks=st.lists(st.binary(max_size=30), max_size=8))
def test_no_bytes_break_the_emulator(chunks: list[bytes]) -> None:
    timeline = Timeline()
    replies: list[bytes] = []
    mount = EmulatedNexStar(timeline, StillAxes(), np.random.default_rng(1))
    mount.attach(replies.append)
    for chunk in chunks:
        mount.receive(chunk)
        timeline.advance(timeline.now_ns + 10_000_000)
    timeline.advance(timeline.now_ns + 30_000_000_000)
    replies.clear()
    mount.receive(b"Kx")
    timeline.advance(timeline.now_ns + 30_000_000_000)

    assert replies == [b"x#"]
    assert math.isfinite(mount._angles()[0])
