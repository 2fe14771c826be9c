from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hand_clock import HandClock

from controller.bus.local import LocalBus
from controller.bus.topics import (
    ACQUISITION_STATE,
    POINTING_STATE,
    SAFETY_ENABLE,
    STATION_EVENT,
    STATION_MODE,
    TRACKING_COARSE,
    TRACKING_CORRECTION,
    TRACKING_FINE,
    EnableState,
    ModeState,
    PointingState,
    StationEvent,
)
from controller.tracking.commission import Commission
from controller.tracking.fine_poke import Poke
from controller.tracking.service import TrackingService
from hal.errors import DeviceError, WireError, WireTimeout
from hal.traits import FineStatus, Frame, Region

NS = 1_000_000_000
UTC0_NS = 1_760_000_000 * NS
SCALE = 17e-6
URAD = 1e-6


@dataclass
class FakeCamera:
    """Renders one spot at `error_rad`, or none; time passes in `read`."""

    clock: HandClock
    error_rad: tuple[float, float] | None = None
    fail: Exception | None = None
    views: list[tuple[Region, float]] = field(default_factory=list)
    sensor: Region = field(default_factory=lambda: Region(0, 0, 1024, 1024))
    closed: int = 0
    taken_ns: int = 0
    identity: dict = field(default_factory=lambda: {"serial": "C1"})

    def configure(self, exposure_s: float, frame_rate_hz: float, region: Region) -> None:
        self.views.append((region, frame_rate_hz))

    def start(self) -> None: ...
    def stop(self) -> None: ...

    def close(self) -> None:
        self.closed += 1

    def read(self, timeout_s: float) -> Frame:
        region, rate_hz = self.views[-1]
        self.clock.t_ns = self.taken_ns = max(self.clock.t_ns, self.taken_ns + round(NS / rate_hz))
        if self.fail is not None:
            raise self.fail
        rng = np.random.default_rng(self.clock.t_ns)
        image = rng.normal(100, 5, (region.height, region.width))
        if self.error_rad is not None:
            x = 511.5 + self.error_rad[0] / SCALE - region.x
            y = 511.5 + self.error_rad[1] / SCALE - region.y
            v, u = np.mgrid[: region.height, : region.width]
            image += 2000 * np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * 1.5**2))
        return Frame(self.clock.t_ns - NS // 100, 0.005, region, image.astype(np.uint16), 1)


@dataclass
class FakeBoard:
    """Records what it is told; a heartbeat that enables raises the line."""

    clock: HandClock
    mode: str = "idle"
    enables: list[bool] = field(default_factory=list)
    beat_ns: list[int] = field(default_factory=list)
    points: list[tuple[int, float, float]] = field(default_factory=list)
    ahead: list[tuple[float, float]] = field(default_factory=list)
    resets: int = 0
    closed: int = 0
    mirror: tuple[float, float] = (0.0, 0.0)
    lost_ticks: int = 0
    dictionary: dict = field(default_factory=dict)
    identity: dict = field(default_factory=lambda: {"serial": "B1"})
    quad_scale_rad: float = 1e-4

    def heartbeat(self, enable: bool) -> FineStatus:
        self.enables.append(enable)
        self.beat_ns.append(self.clock.t_ns)
        return FineStatus(
            self.clock.t_ns, 0, self.mode, enable, True, (0, 0), (1e-6, 1e-6), 1.0, self.mirror, 0, 200, self.lost_ticks
        )

    def set_mode(self, mode: str) -> None:
        self.mode = mode

    def setpoints(self, points: list[tuple[int, float, float]]) -> int:
        times = [t_ns for t_ns, _, _ in self.points[-1:] + points]
        assert all(a < b for a, b in itertools.pairwise(times)), "the board wants set-points that go forward"
        self.points += points
        return 10

    def point_ahead(self, x_rad: float, y_rad: float) -> None:
        self.ahead.append((x_rad, y_rad))

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed += 1


@dataclass
class FakePath:
    duration_s: float = 1.0
    half_extent_rad: float = 1e-3
    predicted_mean_s: float = 0.5
    predicted_success: float = 0.99
    radius_sigma: float = 3.0

    def position(self, t_s: float) -> tuple[float, float]:
        return 1e-3 * t_s, 0.0


class Bench:
    """The service on a real in-process bus, with everybody else played by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = HandClock(0, UTC0_NS)
        self.bus = LocalBus(self.clock, 1)
        self.camera, self.board = FakeCamera(self.clock), FakeBoard(self.clock)
        self.plans: list[tuple] = []
        self.enable = True
        self.mode = "STOWED"
        self.ahead = (30 * URAD, -10 * URAD)
        self.commissioned = 0
        self.refuse: list[DeviceError] = []
        monkeypatch.setattr(Commission, "dark", lambda commission, board: self._dark(commission, board))
        monkeypatch.setattr(Commission, "light", lambda commission, board: self._light(commission, board))
        self.service = TrackingService(
            self.clock, self.bus.port("tracking"), self._camera, lambda: self.board, self._plan
        )
        self.ear = self.bus.port("ear")
        self.ear.drain(STATION_EVENT)
        self.service.open()

    def _camera(self) -> FakeCamera:
        if isinstance(self.camera.fail, WireError) and not isinstance(self.camera.fail, WireTimeout):
            raise self.camera.fail
        return self.camera

    def _plan(self, pointing, coasted, sweep, known):
        self.plans.append((coasted, sweep, known))
        return FakePath()

    def _dark(self, commission, board):
        board.set_mode("setpoint")
        yield
        commission.designs = (object(), object())

    def _light(self, commission, board):
        self.commissioned += 1
        yield
        if self.refuse:
            raise self.refuse.pop()
        matrix = np.array([[0.0, -1.0], [1.0, 0.0]])  # the mirror sits turned by 90 degrees
        commission.poke = Poke(-matrix / 1e-4, 1e-4, (1.0, 1.0))

    def run(self, seconds: float, mode: str | None = None) -> None:
        self.mode = mode or self.mode
        end_ns = self.clock.t_ns + round(seconds * NS)
        while self.clock.t_ns < end_ns:
            utc_ns = self.clock.utc_ns()
            self.bus.port("station").publish(STATION_MODE, ModeState(self.mode, utc_ns, ""))
            if self.enable:
                self.bus.port("safety").publish(SAFETY_ENABLE, EnableState(utc_ns, True))
            self.bus.port("pointing").publish(POINTING_STATE, self.pointing(utc_ns))
            self.service.cycle()

    def pointing(self, utc_ns: int) -> PointingState:
        el = math.radians(45)
        return PointingState(
            utc_ns, "track", 1.0, el, 0.005, 0.004, 1.0, el, 0.005, 0.004, 700e3, (0, 0), (0, 0), self.ahead, (0, 0),
            0.1, True,
        )  # fmt: skip

    def last(self, topic):
        return self.ear.latest(topic).body

    def events(self) -> list[str]:
        return [sample.body.code for sample in self.ear.drain(STATION_EVENT)]


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
