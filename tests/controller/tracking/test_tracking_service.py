from __future__ import annotations

import numpy as np
import pytest
from tracking_bench import NS, SCALE, URAD, UTC0_NS, Bench

from controller.bus.topics import (
    ACQUISITION_STATE,
    SAFETY_ENABLE,
    STATION_EVENT,
    STATION_MODE,
    TRACKING_COARSE,
    TRACKING_CORRECTION,
    TRACKING_FINE,
    EnableState,
    ModeState,
    StationEvent,
)
from hal.errors import DeviceError, WireError, WireTimeout
from hal.traits import Region


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_the_enable_line_falls_with_the_word_that_safety_died_before_its_own_goes_stale(bench: Bench) -> None:
    bench.run(0.2, "POINT")
    bench.bus.port("supervisor").publish(STATION_EVENT, StationEvent("error", "DIED", "link was killed by SIGKILL"))
    bench.run(0.1)
    assert bench.board.enables[-1]
    bench.bus.port("supervisor").publish(STATION_EVENT, StationEvent("error", "DIED", "safety was killed by SIGKILL"))
    bench.service.cycle()
    assert not bench.board.enables[-1]
    bench.run(0.2)
    assert not bench.board.enables[-1], "what still says yes is not the process that was armed"


def test_the_enable_line_follows_a_fresh_word_of_safety_and_nothing_else(bench: Bench) -> None:
    bench.run(0.2, "POINT")
    assert bench.board.enables[-1]
    bench.enable = False
    bench.run(0.2)
    assert not bench.board.enables[-1]
    silent = bench.board.enables.index(False)
    assert (len(bench.board.enables) - silent) * 0.02 > 0.08  # dropped within the topic's stale-after


def test_a_no_of_the_safety_service_is_with_the_board_before_the_next_frame(bench: Bench) -> None:
    bench.enable = True
    bench.run(0.5)
    before, sent_ns, port = len(bench.board.enables), bench.clock.t_ns + 5_000_000, bench.bus.port("safety")

    def sleep_until(t_ns: int) -> None:
        if bench.clock.t_ns < sent_ns <= t_ns:
            bench.clock.t_ns = sent_ns
            port.publish(SAFETY_ENABLE, EnableState(UTC0_NS + sent_ns, False))
        bench.clock.t_ns = max(bench.clock.t_ns, t_ns)

    bench.clock.sleep_until = sleep_until
    bench.service.cycle()
    assert bench.board.enables[before:] == [True, False]
    assert bench.board.beat_ns[-1] - sent_ns <= 1_000_000, "it waits by the millisecond on this bus"


def test_a_no_of_the_safety_service_waits_for_no_other_view_of_the_camera(bench: Bench) -> None:
    bench.run(0.2, "ACQUIRE")  # looking wide
    assert bench.board.enables[-1]
    lines: list[bool] = []
    bench.camera.stop = lambda: lines.append(bench.board.enables[-1])
    bench.bus.port("station").publish(STATION_MODE, ModeState("SLEW", bench.clock.utc_ns(), ""))
    bench.bus.port("safety").publish(SAFETY_ENABLE, EnableState(bench.clock.utc_ns(), False))
    bench.service.cycle()
    assert lines == [False]


def test_the_mirror_is_identified_before_there_is_light(bench: Bench) -> None:
    bench.run(0.2, "SLEW")
    assert "COMMISSION" in bench.events()
    assert bench.commissioned == 0
    assert bench.board.mode == "idle"


def test_a_scan_moves_the_mirror_only_while_emission_is_on(bench: Bench) -> None:
    bench.enable = False
    bench.run(0.3, "POINT")
    bench.run(0.3, "ACQUIRE")
    assert bench.board.points == []
    assert bench.last(TRACKING_FINE).phase == "scan"
    bench.enable = True
    bench.run(0.3)
    assert max(x for _, x, _ in bench.board.points) > 100 * URAD
    assert bench.last(ACQUISITION_STATE).phase == "scanning"


def test_the_camera_looks_wide_while_scanning_and_narrow_once_centred(bench: Bench) -> None:
    bench.run(0.3, "ACQUIRE")
    assert bench.camera.views[-1][0].width * SCALE > 2e-3
    bench.camera.error_rad = (900 * URAD, 0.0)
    bench.run(0.2)
    bench.run(0.2, "COARSE")
    assert bench.camera.views[-1][0].width * SCALE > 2e-3
    bench.camera.error_rad = (20 * URAD, 0.0)
    bench.run(1.5)
    assert bench.camera.views[-1] == (Region(480, 480, 64, 64), 50.0)


def test_a_beacon_ends_the_scan_and_becomes_a_correction(bench: Bench) -> None:
    bench.run(0.3, "ACQUIRE")
    assert bench.last(TRACKING_CORRECTION).source == "none"
    bench.camera.error_rad = (300 * URAD, -200 * URAD)
    bench.run(0.3)
    assert bench.last(ACQUISITION_STATE).phase == "found"
    correction = bench.last(TRACKING_CORRECTION)
    assert correction.source == "coarse"
    assert correction.offset_rad == pytest.approx((300 * URAD, -200 * URAD), abs=30 * URAD)
    assert correction.t_utc_ns > bench.clock.utc_ns() + 0.1 * NS
    assert bench.last(TRACKING_COARSE).error_rad == pytest.approx((300 * URAD, -200 * URAD), abs=2 * URAD)


def test_a_lost_beacon_leaves_a_coasting_correction_with_growing_sigma(bench: Bench) -> None:
    bench.camera.error_rad = (100 * URAD, 0.0)
    bench.run(1.0, "COARSE")
    before = bench.last(TRACKING_CORRECTION)
    bench.camera.error_rad = None
    bench.run(2.0)
    after = bench.last(TRACKING_CORRECTION)
    assert after.source == "coast"
    assert after.sigma_rad > before.sigma_rad
    assert after.offset_rad == pytest.approx(before.offset_rad, abs=40 * URAD)
    assert not bench.last(TRACKING_COARSE).detected


def test_a_scan_after_a_loss_starts_from_the_coasted_uncertainty(bench: Bench) -> None:
    bench.run(0.2, "ACQUIRE")
    assert bench.plans[-1][0] is None
    bench.camera.error_rad = (100 * URAD, 0.0)
    bench.run(1.0, "COARSE")
    bench.camera.error_rad = None
    bench.run(1.0)
    bench.run(0.2, "ACQUIRE")
    assert np.sqrt(np.diag(bench.plans[-1][0])).max() < 100 * URAD


def test_a_sweep_that_found_nothing_fails_and_the_next_is_the_second(bench: Bench) -> None:
    bench.run(2.0, "ACQUIRE")
    assert bench.last(ACQUISITION_STATE).phase == "failed"
    bench.run(0.1, "POINT")
    assert bench.last(ACQUISITION_STATE).phase == "idle"
    bench.run(0.2, "ACQUIRE")
    assert [sweep for _, sweep, _ in bench.plans] == [0, 1]


def test_the_loop_is_commissioned_only_when_three_sigma_fit_the_quad_cell(bench: Bench) -> None:
    bench.camera.error_rad = (90 * URAD, 0.0)
    bench.run(1.0, "COARSE")
    assert bench.commissioned == 0
    assert bench.last(TRACKING_FINE).phase == "poke"
    bench.camera.error_rad = (5 * URAD, 0.0)
    bench.run(6.0)
    assert bench.commissioned == 1
    assert bench.last(TRACKING_FINE).phase == "idle"


def commissioned(bench: Bench) -> None:
    bench.camera.error_rad = (2 * URAD, 0.0)
    bench.run(1.0, "COARSE")
    bench.events()


def test_fine_closes_the_loop_and_says_so(bench: Bench) -> None:
    commissioned(bench)
    assert bench.board.mode == "setpoint"
    bench.run(0.2, "FINE")
    assert bench.board.mode == "track"
    assert bench.last(TRACKING_FINE).phase == "closed"
    bench.board.lost_ticks = 200
    bench.run(0.1)
    assert bench.last(TRACKING_FINE).phase == "idle"


def test_the_loop_is_never_closed_without_a_poke(bench: Bench) -> None:
    bench.run(0.5, "FINE")
    assert bench.board.mode == "idle"
    assert bench.last(TRACKING_FINE).phase == "poke"


def test_point_ahead_and_mirror_mean_are_turned_by_the_measured_matrix(bench: Bench) -> None:
    bench.run(0.1, "ACQUIRE")
    assert bench.board.ahead[-1] == pytest.approx(bench.ahead)
    commissioned(bench)
    bench.board.mirror = (7 * URAD, 0.0)
    bench.run(0.1, "FINE")
    assert bench.board.ahead[-1] == pytest.approx((-10 * URAD, -30 * URAD))
    assert bench.last(TRACKING_FINE).mirror_mean_rad == pytest.approx((0.0, 7 * URAD))
    bench.run(0.1, "STOWED")
    assert bench.board.ahead[-1] == pytest.approx((0.0, 0.0))


def test_the_mirrors_mean_moves_the_set_point_of_the_camera(bench: Bench) -> None:
    commissioned(bench)
    bench.board.mirror = (60 * URAD, 0.0)  # (0, 60) on the sky
    bench.run(8.0, "FINE")
    assert bench.last(TRACKING_FINE).offload_rad[1] > 15 * URAD
    assert bench.last(TRACKING_CORRECTION).offset_rad[1] > 15 * URAD


def test_a_refused_poke_is_tried_again_ever_more_rarely_and_becomes_an_error(bench: Bench) -> None:
    bench.refuse = [DeviceError("beam board: wrong way round; swap it.") for _ in range(9)]
    bench.camera.error_rad = (2 * URAD, 0.0)
    bench.run(9.0, "COARSE")  # tried at 0, 1, 3 and 7 s
    assert bench.commissioned == 4
    told = [s.body.level for s in bench.ear.drain(STATION_EVENT) if s.body.code == "REFUSED"]
    assert told == ["warning", "warning", "error", "error"]
    assert bench.last(TRACKING_FINE).phase == "poke"
    bench.run(0.1, "SLEW")
    bench.run(1.0, "COARSE")
    assert bench.commissioned == 5  # a new pass, a new chance


def test_a_latched_board_is_told_now_and_then_and_everything_else_is_told_all_the_same(bench: Bench) -> None:
    bench.run(0.2, "STOWED")
    bench.ear.drain(STATION_EVENT)
    latched = DeviceError("beam board: it is latched; find the cause, then reset it.")

    def refuse(mode: str) -> None:
        raise latched

    bench.board.set_mode = refuse  # type: ignore[method-assign]
    before = bench.ear.latest(TRACKING_FINE).seq
    bench.run(15.0, "POINT")
    assert bench.events().count("REFUSED") == 2, "at once and after ten seconds, not fifty times a second"
    assert bench.ear.latest(TRACKING_FINE).seq - before > 500, "what the board is stays on the bus"


def test_a_lost_camera_stops_the_heartbeat_until_it_is_back(bench: Bench) -> None:
    bench.run(0.2, "POINT")
    beats, resets = len(bench.board.enables), bench.board.resets
    bench.camera.fail = WireError("camera: gone; plug it in.")
    lost_ns = bench.clock.t_ns

    sleep = bench.clock.sleep_until

    def mend(t_ns: int) -> None:
        sleep(t_ns)
        if t_ns - lost_ns > 3 * NS:
            bench.camera.fail = None

    bench.clock.sleep_until = mend  # type: ignore[method-assign]
    bench.service.cycle()
    assert bench.clock.t_ns - lost_ns > 3 * NS
    assert len(bench.board.enables) == beats + 1
    assert bench.board.closed >= 1
    assert bench.board.resets == resets + 1
    assert bench.events()[-2:] == ["DEVICE_LOST", "DEVICE_BACK"]
    bench.run(0.2)
    assert len(bench.board.enables) > beats + 5


def test_frames_that_stop_coming_are_a_lost_camera_but_one_late_frame_is_not(bench: Bench) -> None:
    bench.camera.fail = WireTimeout("camera: no frame in time; check its cable.")
    bench.run(0.5, "POINT")
    assert "DEVICE_LOST" not in bench.events()
    bench.run(1.0)
    assert "DEVICE_LOST" in bench.events()


def test_memory_is_given_back_between_passes_and_not_while_one_is_flown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    monkeypatch.setattr("controller.tracking.service.give_back", lambda: given.append(bench.mode))
    for mode in ("SLEW", "POINT", "ACQUIRE", "COARSE", "SAFE", "STOWED"):
        bench.run(0.2, mode)
    assert given == ["SLEW", "STOWED"]


def test_an_operators_reset_clears_the_boards_latch(bench: Bench) -> None:
    bench.run(0.1, "SAFE")
    before = bench.board.resets
    bench.run(0.1, "STOWED")
    assert bench.board.resets == before + 1


def ask(bench: Bench, method: str, body: dict) -> tuple[str, dict]:
    """What the service answers, without a second thread."""
    from controller.bus.port import Request

    reply = bench.service._obey(Request(b"1" * 16, "operator", method, body, False))
    return reply.code, reply.body or {}


def test_a_calibration_may_set_view_and_model_while_the_station_rests(bench: Bench) -> None:
    bench.run(0.1, "STOWED")
    code, _ = ask(bench, "tracking.look", {"half_extent_rad": 8e-3, "frame_rate_hz": 10.0})
    assert code == ""
    assert bench.camera.views[-1][1] == 10.0
    code, _ = ask(bench, "tracking.camera", {"matrix": [[1.6e-5, 0], [0, 1.6e-5]], "origin_px": [500, 520]})
    assert code == ""
    assert ask(bench, "tracking.model", {})[1]["origin_px"] == (500.0, 520.0)
    bench.run(0.1, "SLEW")
    assert bench.camera.views[-1][1] == 50.0


@pytest.mark.parametrize(
    ("mode", "method", "body", "code"),
    [
        ("FINE", "tracking.look", {"half_extent_rad": 1e-3, "frame_rate_hz": 10.0}, "BUSY"),
        ("STOWED", "tracking.look", {}, "SCHEMA"),
        ("STOWED", "tracking.camera", {"matrix": [[0, 0], [0, 0]], "origin_px": [1, 1]}, "SCHEMA"),
        ("STOWED", "tracking.dance", {}, "SCHEMA"),
    ],
)
def test_what_cannot_be_done_is_refused(bench: Bench, mode: str, method: str, body: dict, code: str) -> None:
    bench.run(0.1, mode)
    assert ask(bench, method, body)[0] == code


def test_closing_leaves_both_devices_released(bench: Bench) -> None:
    bench.run(0.1, "POINT")
    bench.service.close()
    assert bench.board.closed == 1
    assert bench.camera.closed == 1
