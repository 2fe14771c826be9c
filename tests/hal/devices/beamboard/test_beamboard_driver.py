"""The driver against the firmware, and against what a wire can do to it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hal.devices.beamboard import BeamBoard
from hal.devices.beamboard.clockmap import ClockMap
from hal.devices.beamboard.dictionary import Dictionary
from hal.devices.beamboard.exchange import Executed, encode
from hal.errors import DeviceError, ProtocolError, ResourceError, WireError, WireTimeout

# Request frames, worked by hand from firmware/core/bs_frame.h: sync A5 5A, then length, sequence and type in little
# endian, payload, and CRC-16/CCITT-FALSE over all but the sync (computed with the bitwise definition in
# tests/firmware/test_board_protocol.py, whose check value is the published 0x29B1).
GOLDEN = [
    (1, 0x01, b"", "a55a 0000 0100 01 1d36"),
    (2, 0x04, b"\x01", "a55a 0100 0200 04 01 3d7a"),
    (0x1234, 0x05, b"\x02", "a55a 0100 3412 05 02 1c5f"),
    (3, 0x0A, struct.pack("<ff", 1.0, -2.0), "a55a 0800 0300 0a 0000803f 000000c0 4fd0"),
]


@pytest.mark.parametrize(("sequence", "kind", "payload", "expected"), GOLDEN)
def test_requests_are_the_worked_bytes(sequence: int, kind: int, payload: bytes, expected: str) -> None:
    assert encode(sequence, kind, payload).hex() == expected.replace(" ", "")


def test_the_board_answers_the_worked_bytes(bench: Any) -> None:
    answers: list[bytes] = []
    bench.board.attach(answers.append)
    for *_, expected in GOLDEN[:3]:
        bench.board.receive(bytes.fromhex(expected))
    assert [answer[4:7].hex() for answer in answers] == ["010081", "020084", "341285"]
    assert [answer[11] for answer in answers] == [0, 0, 8]  # no matrix yet: calibrate first


def test_opening_reads_the_dictionary_and_changes_nothing(bench: Any, driver: BeamBoard) -> None:
    assert driver.serial == 42
    assert driver.dictionary["tick_rate_hz"] == 10_000
    assert {"quad_x", "mirror_y", "injection"} <= {row["name"] for row in driver.dictionary["channels"]}
    assert driver.status().mode == "idle"


def test_status_gives_the_quads_angle_and_the_mirrors(bench: Any, driver: BeamBoard) -> None:
    driver.quad_scale_rad = 70e-6
    bench.light(0.5, -0.25, total=0.8)
    bench.board.io[4] = 3e-4
    bench.sleep(0.001)
    driver.status()
    bench.sleep(0.02)
    status = driver.status()
    assert status.quad_mean_rad == pytest.approx((35e-6, -17.5e-6), rel=1e-4)
    assert status.quad_rms_rad == pytest.approx((35e-6, 17.5e-6), rel=1e-4)
    assert status.quad_sum == pytest.approx(0.8, rel=1e-4)
    assert status.mirror_mean_rad[0] == pytest.approx(3e-4, rel=1e-4)
    assert status.ticks == pytest.approx(200, abs=15)
    assert not status.latches


def test_the_time_of_a_status_is_the_time_of_its_tick(bench: Any, driver: BeamBoard) -> None:
    for _ in range(20):
        bench.sleep(0.013)
        status = driver.status()
        assert abs(status.t_ns - status.tick * 100_000) <= 100_000


def test_set_points_are_reached_at_their_time(bench: Any, driver: BeamBoard) -> None:
    driver.heartbeat(False)
    driver.set_mode("setpoint")
    start = bench.now_ns() + 20_000_000  # 777 bytes take 8 ms to the board
    room = driver.setpoints([(start + i * 2_000_000, i * 1e-5, -i * 1e-5) for i in range(1, 70)])
    assert room == 128 - 69
    bench.sleep_until(start + 50_000_000)
    assert bench.board.io[7] == pytest.approx(25e-5, abs=1e-6)  # 25 points of 2 ms; 1 urad is 0.2 ms
    assert bench.board.io[8] == pytest.approx(-25e-5, abs=1e-6)


def test_heartbeats_raise_the_line_and_their_absence_latches(bench: Any, driver: BeamBoard) -> None:
    driver.heartbeat(True)
    bench.sleep(0.001)
    assert bench.board.enable_line
    assert driver.status().enabled
    bench.sleep(0.260)
    assert not bench.board.enable_line
    status = driver.status()
    assert (status.mode, status.latches) == ("latched", ("watchdog",))
    with pytest.raises(DeviceError, match=r"latched.*reset"):
        driver.set_mode("setpoint")
    driver.reset()
    assert driver.status().latches == ()


def test_an_open_interlock_is_told_and_stays_until_reset(bench: Any, driver: BeamBoard) -> None:
    driver.heartbeat(True)
    bench.sleep(0.001)
    bench.board.set_interlock(False)
    bench.sleep(0.001)
    bench.board.set_interlock(True)
    status = driver.heartbeat(True)
    assert status.latches == ("interlock",)
    assert not driver.heartbeat(True).enabled


def test_a_late_reply_is_never_the_answer_to_the_next_request(bench: Any, driver: BeamBoard) -> None:
    driver.set_parameter("sum_min", 0.25)
    late: list[bytes] = []

    def hold(reply: bytes) -> bytes:
        late.append(reply)
        return b""

    bench.line.spoil = hold
    with pytest.raises(WireTimeout):
        driver.parameter("sum_min")
    # The answer to the next request comes behind all the old ones.
    bench.line.spoil = lambda reply: b"".join(late) + reply
    assert driver.parameter("loop_gain") == 0.0


def test_a_lost_reply_is_asked_for_again_and_nothing_happens_twice(bench: Any, driver: BeamBoard) -> None:
    driver.heartbeat(False)
    lost: list[bytes] = []

    def lose_the_first(reply: bytes) -> bytes:
        lost.append(reply)
        return b"" if len(lost) == 1 else reply

    bench.line.spoil = lose_the_first
    at = bench.now_ns() + 500_000_000
    assert driver.setpoints([(at, 1e-4, 0.0)]) == 127  # executed twice it would be refused: not forward in time
    assert lost[0] == lost[1]
    bench.line.spoil = None
    assert driver.status().setpoints_queued == 1


@pytest.mark.parametrize(
    "noise", [b"\xa5", b"\xa5\x5a", b"\x00\xff" * 20, b"\xa5\x5a\xff\xff\x00\x00\x00", b"\xa5\xa5\x5a\x01"]
)
def test_garbage_before_a_reply_does_not_lose_it(bench: Any, driver: BeamBoard, noise: bytes) -> None:
    bench.line.spoil = lambda reply: noise + reply
    assert driver.parameter("mirror_range") == pytest.approx(2e-3)


def test_a_damaged_reply_is_asked_for_again(bench: Any, driver: BeamBoard) -> None:
    seen: list[bytes] = []

    def damage_the_first(reply: bytes) -> bytes:
        seen.append(reply)
        return reply[:-1] + bytes([reply[-1] ^ 1]) if len(seen) == 1 else reply

    bench.line.spoil = damage_the_first
    assert driver.parameter("mirror_range") == pytest.approx(2e-3)
    assert len(seen) == 2


@pytest.mark.parametrize(
    "spoil", [lambda reply: b"", lambda reply: reply[: len(reply) // 2], lambda reply: b"\x00" * 30]
)
def test_silence_half_a_reply_and_noise_end_in_one_clear_sentence(bench: Any, driver: BeamBoard, spoil: Any) -> None:
    bench.line.spoil = spoil
    before = bench.now_ns()
    with pytest.raises(WireTimeout, match=r"^beam_board: no answer .* check its power, cable and baud rate") as caught:
        driver.status()
    assert "\n" not in str(caught.value)
    assert bench.now_ns() - before < 250_000_000  # the caller learns of it before the board's watchdog runs out
    bench.line.spoil = None
    assert driver.status().mode == "idle"


def test_a_hang_up_is_a_wire_error(bench: Any) -> None:
    driver = bench.driver()
    bench.line.hang_up()
    with pytest.raises(WireError, match="hung up"):
        driver.status()
    driver.close()


def test_a_silent_port_is_refused_at_opening_and_left_free(bench: Any) -> None:
    bench.line.spoil = lambda reply: b""
    with pytest.raises(WireTimeout, match="beam_board"):
        bench.driver()
    bench.line.spoil = None
    bench.driver().close()


def test_a_port_that_does_not_exist_is_named() -> None:
    with pytest.raises(ResourceError, match=r"beam_board: .*/dev/no-such-board.*rig file"):
        BeamBoard("serial:///dev/no-such-board", 921_600, None)  # type: ignore[arg-type]


def test_what_the_dictionary_lacks_is_refused_by_name(driver: BeamBoard) -> None:
    with pytest.raises(DeviceError, match=r"no parameter 'gain'.*loop_gain"):
        driver.set_parameter("gain", 1.0)
    with pytest.raises(DeviceError, match="no capture channel 'quad_z'"):
        driver.start_capture(("quad_z",), 0.1)
    with pytest.raises(DeviceError, match="no mode 'fly'"):
        driver.set_mode("fly")
    with pytest.raises(DeviceError, match="out of range") as caught:
        driver.set_parameter("mirror_range", 1.0)
    assert caught.value.code == 3


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b'{"commands":[{"id":"x"}]}', b"\xff\xfe"])
def test_an_unreadable_dictionary_is_a_protocol_error(text: bytes) -> None:
    with pytest.raises(ProtocolError, match="update its firmware"):
        Dictionary.parse(text, "beam_board")


def rewritten(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Replies with another payload, in a frame that is right."""

    def spoil(reply: bytes) -> bytes:
        (sequence,) = struct.unpack_from("<H", reply, 4)
        return encode(sequence, reply[6], change(reply[7:-2]))

    return spoil


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda body: body[:3], "reply of 3 bytes"),
        (lambda body: body[:5], "too short"),
        (lambda body: body[:5] + b"\x07" + body[6:], "reports mode 7"),
    ],
)
def test_a_reply_of_another_shape_is_a_protocol_error(
    bench: Any, driver: BeamBoard, change: Any, sentence: str
) -> None:
    bench.line.spoil = rewritten(change)
    with pytest.raises(ProtocolError, match=sentence):
        driver.status()


def test_a_dictionary_that_ends_early_is_refused(bench: Any) -> None:
    bench.line.spoil = rewritten(lambda body: body[:5] if len(body) > 20 else body)
    with pytest.raises(ProtocolError, match="ends early"):
        bench.driver()


def test_a_board_without_a_needed_command_is_refused() -> None:
    rows = '[{"id":"0x01","name":"hello"},null]'
    text = f'{{"commands":{rows},"modes":[null],"parameters":[null],"channels":[null],"tick_rate_hz":10000}}'
    with pytest.raises(ProtocolError, match="lacks the commands capture, commit"):
        Dictionary.parse(text.encode(), "beam_board")


def test_another_protocol_version_is_refused(bench: Any) -> None:
    bench.line.spoil = rewritten(lambda body: body[:5] + struct.pack("<H", 9) + body[7:])
    with pytest.raises(ProtocolError, match="version 9"):
        bench.driver()


def test_a_capture_keeps_the_heartbeat_going(bench: Any, driver: BeamBoard) -> None:
    driver.heartbeat(True)
    driver.set_mode("setpoint")
    bench.light(0.25, 0.0)
    capture = driver.capture(("quad_x", "quad_sum"), 0.4, between=lambda: driver.heartbeat(True))
    assert capture.samples.shape == (4000, 2)
    assert capture.rate_hz == 10_000
    assert np.allclose(capture.samples, [0.25, 1.0], atol=1e-6)
    assert driver.status().enabled


def test_filters_and_matrix_reach_both_axes(bench: Any, driver: BeamBoard) -> None:
    driver.set_filters([(2.0, 0.0, 0.0, 0.0, 0.0)], [(0.5, 0.0, 0.0, 0.0, 0.0)])
    for name, value in (("loop_gain", 0.1), ("matrix_xx", 1e-4), ("matrix_yy", 1e-4)):
        driver.set_parameter(name, value)
    assert driver.parameter("matrix_xx") == pytest.approx(1e-4)
    driver.heartbeat(False)
    bench.light(0.1, 0.1)
    driver.set_mode("track")
    bench.sleep(0.01)
    x, y = bench.board.io[7:9]
    assert x > 0
    assert x / y == pytest.approx(4.0, rel=1e-5)


def test_closing_leaves_the_line_down_and_nothing_latched(bench: Any) -> None:
    driver = bench.driver()
    driver.heartbeat(True)
    driver.set_mode("setpoint")
    bench.sleep(0.01)
    driver.close()
    bench.sleep(1.0)
    assert not bench.board.enable_line
    again = bench.driver()
    assert (again.status().mode, again.status().latches) == ("idle", ())
    again.close()


@pytest.mark.parametrize("cause", ["watchdog", "interlock"])
def test_closing_does_not_clear_a_latch(bench: Any, cause: str) -> None:
    driver = bench.driver()
    driver.heartbeat(True)
    bench.sleep(0.001)
    if cause == "watchdog":
        bench.sleep(0.3)
    else:
        bench.board.set_interlock(False)
        bench.sleep(0.001)
        bench.board.set_interlock(True)
    driver.close()
    again = bench.driver()
    assert cause in again.status().latches
    again.close()


def test_a_board_whose_tick_stands_still_is_still_asked_for_its_status(bench: Any, driver: BeamBoard) -> None:
    bench.frozen = True
    for _ in range(12):
        bench.sleep(1.0)
        status = driver.status()
    assert status.ticks == 0


def test_the_clock_map_finds_offset_and_drift_from_noisy_exchanges() -> None:
    rng = np.random.default_rng(4)
    period_ns = 100_000 * (1 + 30e-6)  # a crystal 30 ppm slow
    clock = ClockMap(10_000.0)
    wrap = (1 << 32) - 150_000  # the counter wraps on the way
    for i in range(2000):
        true_ns = i * 20_000_000
        tick = int(true_ns / period_ns)
        queue_ns = int(rng.exponential(300_000))
        early, late = true_ns - 40_000, true_ns + 40_000 + queue_ns
        clock.add(Executed((wrap + tick) & 0xFFFFFFFF, early, late, b""))
    at = 2_100 * 20_000_000
    tick = (wrap + int(at / period_ns)) & 0xFFFFFFFF
    assert abs(clock.ns_of(tick) - at) < 100_000  # within a tick, 2 s ahead
    assert abs(((clock.tick_of(at) - tick + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)) <= 1


def test_a_board_that_starts_again_in_the_middle_of_an_exchange_is_a_lost_one(bench: Any, driver: BeamBoard) -> None:
    for _ in range(100):
        bench.sleep(0.02)
        driver.heartbeat(True)
    receive, heard = bench.board.receive, []

    def restart(data: bytes) -> None:
        heard.append(data)
        if len(heard) == 3:  # the first two fall on deaf ears
            bench.board._board = bench.board._library.bs_host_new(42)
        if len(heard) > 2:
            receive(data)

    bench.board.receive = restart
    with pytest.raises(WireError, match="has started again meanwhile"):
        driver.heartbeat(True)


@pytest.mark.parametrize("pause_s", [0.02, 30.0, 900.0])
def test_a_count_that_goes_on_is_no_new_start_whatever_pause_there_was(pause_s: float) -> None:
    clock_map = ClockMap(10_000.0)
    for step in range(100):
        t_s = step * pause_s
        count = round(t_s * 1.0001 * 10_000 + (1 << 32) - 5000) & 0xFFFFFFFF  # 100 ppm fast, and past its wrap
        executed = Executed(count, round(t_s * 1e9), round(t_s * 1e9) + 1_000_000, b"")
        assert clock_map.jumped_s(executed) == 0.0
        clock_map.add(executed)
    again = Executed(3, round(t_s * 1e9) + 10_000_000, round(t_s * 1e9) + 11_000_000, b"")
    assert clock_map.jumped_s(again) != 0.0


def test_the_answer_to_a_repeat_is_of_some_time_since_the_first_and_moves_no_clock(
    bench: Any, driver: BeamBoard
) -> None:
    for _ in range(100):
        bench.sleep(0.02)
        driver.heartbeat(False)
    receive, lost = bench.board.receive, []

    def lose_one(data: bytes) -> None:
        if not lost:  # it is executed, and its answer does not come
            lost.append(data)
            answer, bench.board._send = bench.board._send, lambda reply: None
            receive(data)
            bench.board._send = answer
        else:
            receive(data)

    bench.board.receive = lose_one
    status = driver.heartbeat(False)
    assert abs(status.t_ns - status.tick * 100_000) <= 100_000
    for _ in range(50):
        bench.sleep(0.02)
        status = driver.heartbeat(False)
        assert abs(status.t_ns - status.tick * 100_000) <= 100_000
