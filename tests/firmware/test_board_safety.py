"""What the board does about emission by itself: the watchdog, the interlock and the latches."""

from __future__ import annotations

import struct
from typing import Any

HELLO, DICTIONARY, STATUS, HEARTBEAT, MODE, RESET, SETPOINTS = range(1, 8)
INJECT = 11
WATCHDOG_TICKS = 2500  # required: 250 ms at 10 kHz
LATCHED = 4  # error code
INTERLOCK = 6  # index in io


def test_the_line_stays_down_until_a_heartbeat_asks_for_it(bare: Any) -> None:
    bare.board.tick()
    assert bare.value("enable") == 0.0
    bare.beat(enable=False)
    bare.board.tick()
    assert bare.value("enable") == 0.0
    bare.beat(enable=True)
    bare.board.tick()
    assert bare.value("enable") == 1.0


def test_a_heartbeat_that_says_no_takes_the_line_down_in_one_tick(bare: Any) -> None:
    bare.beat(enable=True)
    bare.board.tick()
    bare.beat(enable=False)
    bare.board.tick()
    assert bare.value("enable") == 0.0


def test_the_watchdog_latches_after_250_ms_and_not_before(bare: Any) -> None:
    bare.beat(enable=True)
    bare.board.tick(WATCHDOG_TICKS)
    assert bare.value("enable") == 1.0
    bare.board.tick()
    assert bare.value("enable") == 0.0
    assert bare.do(STATUS)[0] == 3  # latched


def test_only_a_reset_leaves_the_latch_and_emission_must_be_asked_for_anew(bare: Any) -> None:
    bare.beat(enable=True)
    bare.board.tick(WATCHDOG_TICKS + 1)
    bare.beat(enable=True)
    bare.board.tick(3)
    assert bare.value("enable") == 0.0
    assert bare.ask(MODE, b"\x01")[0] == LATCHED
    assert bare.ask(INJECT, struct.pack("<BfffIB", 0, 10, 10, 1e-6, 10, 0))[0] == LATCHED
    bare.do(RESET)
    bare.board.tick(3)
    assert bare.value("enable") == 0.0
    bare.beat(enable=True)
    bare.board.tick()
    assert bare.value("enable") == 1.0


def test_other_requests_do_not_feed_the_watchdog(bare: Any) -> None:
    bare.beat(enable=True)
    for _ in range(26):
        bare.do(STATUS)
        bare.board.tick(100)
    assert bare.value("enable") == 0.0


def test_an_open_interlock_takes_the_line_down_within_one_tick_and_closing_it_does_not_bring_it_back(bare: Any) -> None:
    bare.beat(enable=True)
    bare.board.tick()
    bare.io[INTERLOCK] = 0.0
    bare.board.tick()
    assert bare.value("enable") == 0.0
    bare.io[INTERLOCK] = 1.0
    for _ in range(5):
        bare.beat(enable=True)
        bare.board.tick(10)
        assert bare.value("enable") == 0.0
    flags = bare.do(STATUS)[1]
    assert flags >> 4 & 1  # emission latched
    bare.do(RESET)
    bare.beat(enable=True)
    bare.board.tick()
    assert bare.value("enable") == 1.0


def test_an_interlock_that_was_open_before_any_emission_needs_no_reset(bare: Any) -> None:
    bare.io[INTERLOCK] = 0.0
    bare.beat(enable=True)
    bare.board.tick()
    assert bare.value("enable") == 0.0
    bare.io[INTERLOCK] = 1.0
    bare.board.tick()
    assert bare.value("enable") == 1.0


def test_the_latched_mirror_is_held_and_its_set_points_are_gone(bare: Any) -> None:
    bare.beat()
    bare.do(MODE, b"\x01")
    far = struct.pack("<Iff", 10_000, 1e-3, 0.0)
    bare.do(SETPOINTS, far)
    bare.board.tick(WATCHDOG_TICKS + 1)
    held = bare.value("cmd_x")
    assert 0.2e-3 < held < 0.3e-3
    bare.board.tick(500)
    assert bare.value("cmd_x") == held


def test_a_reset_leaves_the_watchdog_of_a_moving_mirror_running(bare: Any) -> None:
    bare.beat()
    bare.do(MODE, b"\x01")
    bare.do(RESET)
    bare.board.tick(WATCHDOG_TICKS + 1)
    assert bare.do(STATUS)[0] == 3  # latched


def test_a_reset_of_an_idle_board_lets_the_watchdog_rest(bare: Any) -> None:
    bare.beat()
    bare.do(RESET)
    bare.board.tick(2 * WATCHDOG_TICKS)
    assert bare.do(STATUS)[0] == 0  # idle


def test_without_any_heartbeat_the_watchdog_rests(bare: Any) -> None:
    bare.board.tick(2 * WATCHDOG_TICKS)
    assert bare.do(STATUS)[0] == 0  # idle, not latched
