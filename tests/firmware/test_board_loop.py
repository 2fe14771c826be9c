"""Set-points, filters, integrator, injection and captures of the firmware."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest

STATUS, HEARTBEAT, MODE, RESET, SETPOINTS = range(3, 8)
POINT_AHEAD, INJECT, CAPTURE, READ, SECTION, COMMIT = range(10, 16)
SETPOINT, TRACK = b"\x01", b"\x02"
QUEUE = 128


def points(*rows: tuple[int, float, float]) -> bytes:
    return b"".join(struct.pack("<Iff", *row) for row in rows)


def test_the_mirror_goes_linearly_from_set_point_to_set_point_at_their_times(bare: Any) -> None:
    bare.beat()
    bare.do(MODE, SETPOINT)
    bare.do(SETPOINTS, points((100, 1e-4, 0.0), (200, 1e-4, -4e-4)))
    seen = []
    for _ in range(250):
        bare.board.tick()
        seen.append((bare.value("cmd_x"), bare.value("cmd_y")))
    at = np.array(seen)
    tick = np.arange(1, 251)
    assert np.allclose(at[:, 0], np.interp(tick, [0, 100], [0, 1e-4]), atol=1e-10)
    assert np.allclose(at[:, 1], np.interp(tick, [100, 200], [0, -4e-4]), atol=1e-10)


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        (((50, 0.0, 0.0), (50, 0.0, 0.0)), 7),  # not forward
        (((50, 0.0, 0.0), (60, 3e-3, 0.0)), 3),  # out of range
        (((0, 0.0, 0.0),), 7),  # already past
    ],
)
def test_a_bad_set_point_refuses_the_whole_batch(bare: Any, rows: Any, error: int) -> None:
    bare.beat()
    bare.do(MODE, SETPOINT)
    assert bare.ask(SETPOINTS, points(*rows))[0] == error
    (queued,) = struct.unpack_from("<H", bare.do(STATUS), 2)
    assert queued == 0


def test_a_full_queue_refuses_and_keeps_what_it_has(bare: Any) -> None:
    bare.beat()
    for start in range(0, QUEUE, 64):
        bare.do(SETPOINTS, points(*((1000 + i, 0.0, 0.0) for i in range(start, start + 64))))
    assert bare.ask(SETPOINTS, points((5000, 0.0, 0.0)))[0] == 6
    (queued,) = struct.unpack_from("<H", bare.do(STATUS), 2)
    assert queued == QUEUE


def test_idle_brings_the_mirror_home_at_the_slew_limit(bare: Any) -> None:
    bare.beat()
    bare.do(MODE, SETPOINT)
    bare.do(SETPOINTS, points((1, 1e-3, 0.0)))
    bare.board.tick(5)
    assert bare.set("slew_max", 1.0) == 0
    bare.do(MODE, b"\x00")
    bare.board.tick(5)
    assert bare.value("cmd_x") == pytest.approx(1e-3 - 5e-4, abs=1e-9)
    bare.board.tick(6)
    assert bare.value("cmd_x") == 0.0


def close_loop(bare: Any, gain: float = 0.1) -> None:
    for name, value in (("loop_gain", gain), ("matrix_xx", 1e-4), ("matrix_yy", 2e-4)):
        assert bare.set(name, value) == 0
    bare.beat()
    bare.do(MODE, TRACK)


def test_tracking_needs_a_matrix(bare: Any) -> None:
    bare.beat()
    assert bare.ask(MODE, TRACK)[0] == 8


def test_the_integrator_adds_gain_times_matrix_times_quad_each_tick(bare: Any) -> None:
    close_loop(bare)
    bare.light(0.5, -0.25)
    bare.board.tick(10)
    assert bare.value("cmd_x") == pytest.approx(10 * 0.1 * 1e-4 * 0.5, rel=1e-5)
    assert bare.value("cmd_y") == pytest.approx(-10 * 0.1 * 2e-4 * 0.25, rel=1e-5)


def test_a_lost_quad_holds_the_mirror_and_is_reported(bare: Any) -> None:
    close_loop(bare)
    bare.light(0.5, 0.0)
    bare.board.tick(10)
    held = bare.value("cmd_x")
    bare.do(STATUS)
    bare.light(0.9, 0.9, total=0.01)
    bare.board.tick(20)
    assert bare.value("cmd_x") == held
    status = bare.do(STATUS)
    assert status[1] >> 2 & 1
    ticks, _, lost = struct.unpack_from("<III", status, 8)
    assert (ticks, lost) == (20, 20)


@pytest.mark.parametrize("current", [float("nan"), float("inf"), -5.0])
def test_an_impossible_photocurrent_holds_the_mirror(bare: Any, current: float) -> None:
    close_loop(bare)
    bare.light(0.5, 0.0)
    bare.board.tick(10)
    held = bare.value("cmd_x")
    bare.io[0] = current
    bare.board.tick(20)
    assert bare.value("cmd_x") == held
    bare.light(0.5, 0.0)
    bare.board.tick()
    assert bare.value("cmd_x") > held


def test_the_command_saturates_at_the_range_without_winding_up(bare: Any) -> None:
    close_loop(bare, gain=1.0)
    bare.light(1.0, 0.0)
    bare.board.tick(1000)
    assert bare.value("cmd_x") == pytest.approx(2e-3, rel=1e-6)
    bare.light(-1.0, 0.0)
    bare.board.tick(2)
    assert bare.value("cmd_x") < 2e-3 - 1e-4


def test_the_cascade_is_the_difference_equation_of_its_sections(bare: Any) -> None:
    sections = [(0.3, -0.2, 0.1, -1.2, 0.5), (1.1, 0.4, -0.3, 0.2, 0.6)]
    for index, section in enumerate(sections):
        bare.do(SECTION, struct.pack("<BB5f", 0, index, *section))
    bare.do(COMMIT, bytes([2, 0]))
    bare.beat()
    bare.do(MODE, SETPOINT)
    targets = np.random.default_rng(1).uniform(-1e-4, 1e-4, 60)
    bare.do(SETPOINTS, points(*((i + 1, x, 0.0) for i, x in enumerate(targets))))
    got = []
    for _ in targets:
        bare.board.tick()
        got.append(bare.value("cmd_x"))
    expected = np.concatenate([[0.0, 0.0], targets])
    for b0, b1, b2, a1, a2 in sections:
        out = np.zeros_like(expected)
        for i in range(2, len(expected)):
            out[i] = b0 * expected[i] + b1 * expected[i - 1] + b2 * expected[i - 2] - a1 * out[i - 1] - a2 * out[i - 2]
        expected = out
    assert np.allclose(got, expected[2:], atol=2e-10)


def test_taking_over_filters_does_not_bump_the_mirror(bare: Any) -> None:
    bare.beat()
    bare.do(MODE, SETPOINT)
    bare.do(SETPOINTS, points((1, 5e-4, 0.0)))
    bare.board.tick(10)
    bare.do(SECTION, struct.pack("<BB5f", 0, 0, 4.0, -7.0, 4.0, -0.5, 0.5))  # DC gain 1
    bare.do(COMMIT, bytes([1, 0]))
    bare.board.tick(50)
    assert bare.value("cmd_x") == pytest.approx(5e-4, rel=1e-5)


def test_filters_that_overflow_hold_the_mirror_and_better_ones_free_it(bare: Any) -> None:
    bare.beat()
    bare.do(MODE, SETPOINT)
    for index in range(8):
        bare.do(SECTION, struct.pack("<BB5f", 0, index, 1000.0, -900.0, 0.0, -1.9, 0.9001))  # DC gain 1e6 each
    bare.do(COMMIT, bytes([8, 0]))
    bare.do(SETPOINTS, points((200, 1e-3, 0.0), (400, -1e-3, 0.0)))
    for _ in range(1000):
        bare.board.tick()
        assert abs(bare.value("cmd_x")) <= 2.001e-3  # a NaN would fail
    bare.do(COMMIT, bytes([0, 0]))
    bare.board.tick()
    assert bare.value("cmd_x") == pytest.approx(-1e-3)


def test_the_injected_sine_is_a_sine(bare: Any) -> None:
    bare.beat()
    bare.do(MODE, SETPOINT)
    bare.do(INJECT, struct.pack("<BfffIB", 1, 123.0, 123.0, 1e-4, 400, 0))
    rows = np.array(bare.capture(["injection", "command_y"], 500))
    phase = 2 * math.pi * 123.0 / 10_000 * np.arange(400)
    assert np.allclose(rows[:400, 0], 1e-4 * np.sin(phase), atol=1e-4 * 5e-6)
    assert np.array_equal(rows[:, 0], rows[:, 1])
    assert not rows[400:].any()


def test_a_sweep_moves_linearly_in_frequency(bare: Any) -> None:
    bare.beat()
    bare.do(INJECT, struct.pack("<BfffIB", 0, 100.0, 1100.0, 1e-4, 1000, 0))
    rows = np.array(bare.capture(["injection"], 1000))[:, 0]
    n = np.arange(1000)
    phase = 2 * math.pi / 10_000 * (100.0 * n + 1000.0 * n * (n - 1) / 2 / 1000)
    assert np.allclose(rows, 1e-4 * np.sin(phase), atol=1e-4 * 1e-3)


def test_a_capture_holds_every_tick_in_order(bare: Any) -> None:
    bare.board.tick(5)
    numbers = bytes([bare.names("channels").index("quad_x"), bare.names("channels").index("quad_sum")])
    bare.do(CAPTURE, struct.pack("<I", 30) + numbers)
    for i in range(40):
        bare.light(i / 100, 0.0, total=1.0 + i)
        bare.board.tick()
    body = bare.do(READ, struct.pack("<IH", 0, 250))
    tick_start, wanted, filled = struct.unpack_from("<III", body)
    assert (tick_start, wanted, filled) == (6, 60, 60)
    rows = np.frombuffer(body[12:], dtype="<f4").reshape(-1, 2)
    assert np.allclose(rows[:, 0], np.arange(30) / 100, atol=1e-6)
    assert np.allclose(rows[:, 1], np.arange(30) + 1, rtol=1e-6)


def test_a_new_capture_takes_the_place_of_a_running_one(bare: Any) -> None:
    bare.do(CAPTURE, struct.pack("<I", 1000) + b"\x00")
    bare.board.tick(10)
    rows = bare.capture(["quad_sum"], 20)
    assert rows == [(1.0,)] * 20


def test_the_capture_buffer_holds_four_channels_of_4096_samples(bare: Any) -> None:
    rows = bare.capture(["quad_x", "quad_y", "mirror_x", "mirror_y"], 4096)
    assert len(rows) == 4096


def test_statistics_cover_exactly_the_ticks_since_the_last_status(bare: Any) -> None:
    bare.light(0.2, -0.4)
    bare.board.tick(7)
    bare.do(STATUS)
    bare.light(0.1, 0.3, total=0.5)
    bare.board.tick(50)
    _, _, _, _, _, ticks, _, _, x, y, xx, yy, total, _, _ = struct.unpack("<BBHHHIII7f", bare.do(STATUS))
    assert ticks == 50
    assert (x, y, xx, yy, total) == pytest.approx((0.1, 0.3, 0.01, 0.09, 0.5), rel=1e-4)


def test_the_point_ahead_element_follows_its_command(bare: Any) -> None:
    bare.do(POINT_AHEAD, struct.pack("<ff", 5e-5, -3e-5))
    bare.board.tick()
    assert (bare.value("paa_x"), bare.value("paa_y")) == pytest.approx((5e-5, -3e-5))
