"""What is read of a live stream of states: the bodies of `pointing.follow` and `pointing.feed`, as msgpack."""

from __future__ import annotations

import math
import struct
from typing import Any

import msgspec
import numpy as np
from fuzz_target import Feed, Target

from controller.bus.local import LocalBus
from controller.bus.port import Request
from controller.errors import BoresightError
from controller.geometry.earth import load_earth_orientation
from controller.geometry.frames import Site
from controller.pointing.feed import Streams
from controller.pointing.live_target import LiveTarget
from controller.pointing.prediction import Observer
from controller.services.lockstep import Lockstep
from hal.clock import NS
from sim_hw.timeline import Timeline

NUMBERS = b"\x00"  # at the beginning of an input; no map begins so
NOW_NS = 1_760_000_000 * NS
SITE = Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3, "ogs")
ABOVE_M = (SITE.itrf_m * (1 + 500e3 / np.linalg.norm(SITE.itrf_m))).tolist()
COVARIANCE = (np.diag([100.0] * 3 + [0.01] * 3)).tolist()


def _state(after_ms: int, **more: Any) -> dict[str, Any]:
    along = [x + v * after_ms * 1e-3 for x, v in zip(ABOVE_M, (100.0, -7000.0, 50.0), strict=True)]
    return {
        "t_utc_ns": NOW_NS + after_ms * NS // 1000,
        "position_m": along,
        "velocity_m_s": [100.0, -7000.0, 50.0],
        **more,
    }


FIRST = {
    "name": "a launch",
    "frame": "ITRF",
    "age_max_s": 30.0,
    "acceleration_sigma_m_s2": 5.0,
    "start_utc_ns": NOW_NS,
    "end_utc_ns": NOW_NS + 600 * NS,
    "states": [_state(-1000), _state(-800)],
}


def _of_numbers(data: bytes) -> dict[str, Any]:
    """One state of a time and of doubles: a map would seldom survive what is done to it, and numbers are the point."""
    count = max(0, len(data) - 8) // 8
    t_utc_ns, *numbers = struct.unpack_from(f"<q{count}d", data.ljust(8, b"\0"))
    state = {"t_utc_ns": NOW_NS + t_utc_ns, "position_m": numbers[:3], "velocity_m_s": numbers[3:6]}
    if len(numbers) > 6:
        state["covariance"] = [numbers[i : i + 6] for i in range(6, len(numbers), 6)]
    return {"name": "a launch", "frame": "ITRF", "states": [state]}


def _numbers(after_ms: int, covariance: Any = ()) -> bytes:
    told = _state(after_ms)
    numbers = [*told["position_m"], *told["velocity_m_s"], *np.ravel(covariance)]
    return NUMBERS + struct.pack(f"<q{len(numbers)}d", told["t_utc_ns"] - NOW_NS, *numbers)


def stream() -> Feed:
    """Whatever is fed is taken or refused with a reason, and where the target is stays a finite direction."""
    clock = Lockstep(Timeline(), NOW_NS)
    streams = Streams(clock, LocalBus(clock, seed=1).port("pointing"), Observer(SITE, load_earth_orientation()))
    targets = [streams.open(FIRST)]

    def feed(data: bytes) -> None:
        body = _of_numbers(data[1:]) if data[:1] == NUMBERS else msgspec.msgpack.decode(data)
        if not isinstance(body, dict):
            raise msgspec.ValidationError("a body is a map")
        if "age_max_s" in body:
            targets[0] = streams.open(body)
        else:
            reply = streams.feed(Request(b"1", "anna", "pointing.feed", body, False), targets[0])
            assert isinstance(targets[0], LiveTarget)
            if reply.code:
                if "not later than the newest" in reply.message:
                    targets[0] = streams.open(FIRST)
                raise BoresightError(reply.message)
        look = targets[0].receive(NOW_NS)
        assert math.isfinite(look.azimuth_rad)
        assert math.isfinite(look.elevation_rad)
        assert all(math.isfinite(one) for one in targets[0].sigma_rad(NOW_NS))

    return feed


def _packed(body: Any) -> bytes:
    return msgspec.msgpack.encode(body)


STREAMS = (
    Target(
        "states of a stream",
        stream,
        [
            _packed({"name": "a launch", "frame": "ITRF", "states": [_state(-500)]}),
            _packed({"name": "a launch", "frame": "ITRF", "states": [_state(-300, covariance=COVARIANCE)]}),
            _packed({"name": "a launch", "frame": "ITRF", "states": [_state(-100), _state(0)]}),
            _packed(FIRST),
            *(_numbers(after_ms) for after_ms in (-600, -400, -200)),
            _numbers(-250, COVARIANCE),
        ],
        (BoresightError, msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError),
        slow=20,
    ),
)
