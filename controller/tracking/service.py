"""The tracking service: owns camera and beam board, paced by camera frames.

What it does in each mode of the station:

    SLEW, POINT     mirror at rest; once, its resonances are identified (no light needed)
    ACQUIRE         the mirror carries the uplink over the uncertainty; the camera waits for the beacon
    COARSE          the camera's estimate corrects the gimbal; when it fits the quad cell, the loop is commissioned
    FINE, LINK      the board's loop holds the mirror on the beacon; its mean is handed to the gimbal
    any other       mirror at rest
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from controller.bus.port import Port, Reply, Request
from controller.bus.topics import (
    ACQUISITION_STATE,
    POINTING_STATE,
    SAFETY_ENABLE,
    STATION_EVENT,
    STATION_MODE,
    TRACKING_COARSE,
    TRACKING_CORRECTION,
    TRACKING_FINE,
    ZERO,
    FineState,
    PointingState,
    StationEvent,
)
from controller.heap import give_back
from controller.services.deaths import deaths
from controller.services.service import Service
from controller.tracking import scan
from controller.tracking.camera_model import CameraModel
from controller.tracking.commission import Commission
from controller.tracking.eye import Eye, Sight
from controller.tracking.frames import Correction
from controller.tracking.mirror import Mirror
from controller.tracking.pairing import Array
from controller.tracking.settings import TrackingSettings
from controller.tracking.track import Track, no_correction
from hal.clock import NS, Clock
from hal.errors import DeviceError, HalError, WireError
from hal.traits import Camera, FineLoop, FineStatus, Identity

Plan = Callable[[PointingState, Array | None, int, bool], scan.ScanPath]
SILENT_NS = NS  # a camera that sends nothing for this long is lost
REOPEN_NS = NS
REFUSAL_NS = 10 * NS  # between two times that the same refusal is told
SCAN_NS = NS // 10
EARLY_NS = 3 * NS // 1000  # before the next frame is due the camera has our whole attention
WORDS = (SAFETY_ENABLE, STATION_EVENT)  # the safety service's word, and the supervisor's that it has died
LOOP_MODES = frozenset({"FINE", "LINK"})
TRACKING_MODES = LOOP_MODES | {"ACQUIRE", "COARSE"}


class TrackingService(Service):
    """`plan(pointing, coasted covariance or None, sweep, mirror known)` gives a scan; raises HalError to refuse one.

    Requests, for a calibration while the station rests: `tracking.look {half_extent_rad, frame_rate_hz}` sets what the
    camera shows until the next pass, `tracking.camera {matrix, origin_px}` its model; the answer is the model in use.
    """

    name = "tracking"

    def __init__(
        self,
        clock: Clock,
        port: Port,
        open_camera: Callable[[], Camera],
        open_board: Callable[[], FineLoop],
        plan: Plan,
        settings: TrackingSettings | None = None,
        camera_model: CameraModel | None = None,
        correction: Correction | None = None,
    ) -> None:
        super().__init__(clock, port)
        self._settings = settings or TrackingSettings()
        self._eye = Eye(open_camera, self._settings, camera_model, correction)
        self._open_board = open_board
        self._plan = plan
        self._mirror: Mirror | None = None
        self._mode = ""
        self._frame_ns = 0
        self._safety_died = False
        self._enabled = False
        self._refusal, self._refused_ns, self._refusal_due_ns = "", 0, 0
        self._track = Track(self._settings)
        self._scan = scan.Scan()
        self._scan_phase = ""  # as published
        self._scan_due_ns = 0

    def open(self) -> None:
        """Open both devices. Raises HalError."""
        self._eye.open()
        self._mirror = Mirror(self._open_board(), Commission(self._settings.optics, self._settings.expectation))
        self._frame_ns = self.clock.now_ns()

    def cycle(self) -> None:
        """One camera frame; a device that is lost is opened again, and meanwhile there is no heartbeat of ours."""
        if self._mirror is None:
            raise RuntimeError("open the tracking service before it cycles")
        try:
            self._turn(self._mirror)
        except DeviceError as error:
            self._refused(self._mirror, str(error))
        except HalError as error:
            self._tell("error", "DEVICE_LOST", str(error))
            self._reopen()

    def close(self) -> None:
        """Emission off, mirror to rest, both devices released."""
        mirror, self._mirror = self._mirror, None
        if mirror is not None:
            with suppress(HalError):
                mirror.close()
        with suppress(HalError):
            self._eye.close()

    def identities(self) -> dict[str, Identity]:
        """Camera and beam board."""
        return {"camera": self._eye.identity, "beam_board": self._mirror.identity} if self._mirror is not None else {}

    def _turn(self, mirror: Mirror) -> None:
        if self._enabled and not self._emission_enabled():
            mirror.heartbeat(False)  # before all else: a camera takes its time for another view, or is silent
        for request in self.port.requests():
            self.port.answer(request, self._obey(request))
        self._enter_mode(mirror)
        status = mirror.heartbeat(self._emission_enabled())
        self._listen(mirror)
        sight = self._look()
        pointing: PointingState | None = self.port.fresh(POINTING_STATE)
        if pointing is not None:
            self._track.take(pointing)
        if sight is not None and self._mode in TRACKING_MODES:
            self._track.see(self._utc_of(sight.t_mid_ns), sight)
        try:
            self._act(mirror, status, pointing)
        except DeviceError as error:  # what it is and what is seen is told all the same
            self._refused(mirror, str(error))
        self._publish(mirror, status, sight, pointing)

    def _refused(self, mirror: Mirror, sentence: str) -> None:
        """Told unless it has just been told: a board that is latched refuses fifty times a second."""
        now_ns = self.clock.now_ns()
        again, before_ns, self._refused_ns = mirror.refused(now_ns), self._refused_ns, now_ns
        if sentence == self._refusal and now_ns - before_ns < REOPEN_NS // 2 and now_ns < self._refusal_due_ns:
            return
        self._refusal, self._refusal_due_ns = sentence, now_ns + REFUSAL_NS
        self._tell("warning" if again else "error", "REFUSED", sentence)

    def _emission_enabled(self) -> bool:
        """What the safety service says now; a no for good once its process has died."""
        self._safety_died = self._safety_died or "safety" in deaths(self.port)
        enable = self.port.fresh(SAFETY_ENABLE)
        self._enabled = enable is not None and enable.enable and not self._safety_died
        return self._enabled

    def _listen(self, mirror: Mirror) -> None:
        """Until the next frame is due: a no of the safety service is with the board at once, and not a frame later."""
        due_ns = self._frame_ns + round(self._eye.period_s * NS) - EARLY_NS
        while self._enabled and self.port.listen(WORDS, due_ns):
            if not self._emission_enabled():
                mirror.heartbeat(False)

    def _look(self) -> Sight | None:
        sight = self._eye.read()
        now_ns = self.clock.now_ns()
        if sight is not None:
            self._frame_ns = now_ns
        elif now_ns - self._frame_ns > SILENT_NS:
            raise WireError("camera: it sends no frames; check its cable and restart it.")
        return sight

    def _enter_mode(self, mirror: Mirror) -> None:
        state = self.port.fresh(STATION_MODE)
        before, self._mode = self._mode, state.mode if state is not None else ""
        if self._mode == before:
            return
        if self._mode in {"SLEW", "STOWED"}:
            self._track, self._scan = Track(self._settings), scan.Scan()
            mirror.again()
            self._refusal = ""
            give_back()  # what the pass before took at its most: 1 ms, and no loop is closed
        if self._mode == "SLEW":
            self._eye.look(self._settings.narrow_half_extent_rad, self._settings.frame_rate_hz)
        if before in {"SAFE", "FAULT", "HOLD"} and self._mode == "STOWED":
            mirror.reset()
        if before == "ACQUIRE":
            self._scan = scan.ended(self._scan)
            mirror.follow(scan.rest_point(self.clock.now_ns()))
        if self._mode not in TRACKING_MODES | {"POINT"}:
            mirror.abandon()

    def _act(self, mirror: Mirror, status: FineStatus, pointing: PointingState | None) -> None:
        ahead = pointing.point_ahead_rad if pointing is not None and self._mode in TRACKING_MODES else ZERO
        mirror.aim_ahead(ahead)
        now_ns, now_utc_ns = self.clock.now_ns(), self.clock.utc_ns()
        if mirror.busy:
            if told := mirror.work():
                self._tell("info", "COMMISSION", told)
            return
        if self._mode == "ACQUIRE":
            mirror.use("setpoint")
            self._acquire(mirror, status, pointing)
        elif self._mode == "COARSE":
            if mirror.use("setpoint"):
                mirror.follow(scan.rest_point(now_ns))  # from wherever the loop or the scan left it
            if self._track.centred(now_utc_ns):
                self._eye.look(self._settings.narrow_half_extent_rad, self._settings.frame_rate_hz)
            if self._track.fits(now_utc_ns):
                mirror.close_loop(now_ns)
        elif self._mode in LOOP_MODES and mirror.commission.done:
            mirror.use("track")
        else:
            mirror.use("idle")
            if self._mode in {"SLEW", "POINT"}:
                mirror.identify(now_ns)
        closed = self._mode in LOOP_MODES and mirror.closed(status)
        self._track.hand_over(mirror.mean_on_sky(status) if closed else None, status.ticks * 1e-4)

    def _acquire(self, mirror: Mirror, status: FineStatus, pointing: PointingState | None) -> None:
        if self._scan.phase == "idle":
            if pointing is None:
                return
            path = self._plan(pointing, self._track.coasted(), self._scan.sweep, mirror.commission.poke is not None)
            self._scan = scan.begin(path, self._scan.sweep)
            extent_rad = path.half_extent_rad + self._settings.narrow_half_extent_rad
            self._eye.look(extent_rad, self._settings.wide_frame_rate_hz)
        seen = self._track.seen(self.clock.utc_ns())
        self._scan, points = scan.step(
            self._scan, self.clock.now_ns(), status.enabled, seen, mirror.commission.to_mirror
        )
        mirror.follow(points)

    def _publish(self, mirror: Mirror, status: FineStatus, sight: Sight | None, pointing: PointingState | None) -> None:
        now_ns, now_utc_ns = self.clock.now_ns(), self.clock.utc_ns()
        if sight is not None:
            age_s = (now_ns - sight.t_mid_ns) / NS
            state = self._track.coarse_state(self._utc_of(sight.t_mid_ns), sight, age_s)
            self.port.publish(TRACKING_COARSE, state)
        if pointing is not None:
            using = self._mode in TRACKING_MODES | {"POINT"}
            correction = self._track.correction(now_utc_ns, pointing) if using else no_correction(now_utc_ns)
            self.port.publish(TRACKING_CORRECTION, correction)
        if now_ns >= self._scan_due_ns or self._scan.phase != self._scan_phase:
            self._scan_due_ns, self._scan_phase = now_ns + SCAN_NS, self._scan.phase
            self.port.publish(ACQUISITION_STATE, self._scan.state(now_ns, now_utc_ns))
        fine = FineState(
            t_utc_ns=self._utc_of(status.t_ns),
            board_mode=status.mode,
            enabled=status.enabled,
            latched=status.mode == "latched" or bool(status.latches),
            quad_mean_rad=status.quad_mean_rad,
            quad_rms_rad=status.quad_rms_rad,
            quad_sum=status.quad_sum,
            mirror_mean_rad=mirror.mean_on_sky(status),
            offload_rad=self._track.offload_rad,
            saturated_ticks=status.saturated_ticks,
            ticks=status.ticks,
            phase=self._phase(mirror, status),
        )
        self.port.publish(TRACKING_FINE, fine)

    def _phase(self, mirror: Mirror, status: FineStatus) -> str:
        if self._mode == "ACQUIRE":
            return "scan" if self._scan.phase == "scanning" else "idle"
        if self._mode in TRACKING_MODES and not mirror.commission.done:
            return "poke"
        return "closed" if self._mode in LOOP_MODES and mirror.closed(status) else "idle"

    def _tell(self, level: Literal["info", "warning", "error"], code: str, message: str) -> None:
        self.port.publish(STATION_EVENT, StationEvent(level, code, message))

    def _utc_of(self, t_ns: int) -> int:
        return self.clock.utc_ns() + t_ns - self.clock.now_ns()

    def _reopen(self) -> None:
        """Open what was lost, again and again; the silent heartbeat makes the station fault meanwhile."""
        self.close()
        while not self.port.stopped:
            self.waits_for("camera or beam board")
            self.clock.sleep_until(self.clock.now_ns() + REOPEN_NS)
            try:
                self.open()
            except HalError:
                self.close()
                continue
            self._tell("info", "DEVICE_BACK", "camera and beam board are back")
            return

    def _calibrate(self, request: Request) -> Reply:
        """What a star calibration asks for: a measured camera model, or a region wide enough to find a star."""
        if self._mode in TRACKING_MODES:
            return Reply("BUSY", f"the station is in {self._mode}", "stop it first: boresight stop")
        try:
            if request.method == "tracking.camera":
                self._eye.use(CameraModel.from_body(request.body))
            else:
                self._eye.look(float(request.body["half_extent_rad"]), float(request.body["frame_rate_hz"]))
        except (KeyError, TypeError, ValueError) as error:
            return Reply("SCHEMA", f"{request.method}: {error}", "see docs/protocol.md")
        except HalError as error:
            return Reply("DEVICE", str(error))
        return Reply("", "done")

    def _obey(self, request: Request) -> Reply:
        if request.method == "tracking.model":
            return Reply("", "the camera model in use", body=self._eye.model.to_body())
        if request.method in {"tracking.camera", "tracking.look"}:
            return self._calibrate(request)
        if request.control:
            return Reply("", "tracking follows the station's mode")
        return Reply("SCHEMA", f"tracking has no method {request.method!r}", "see docs/protocol.md")
