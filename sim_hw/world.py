"""The one truth state of the emulated bench: time, scene and plants, advanced together.

Between events of the timeline the plants run in compiled blocks; nothing depends on how these fall, so a seed gives
one truth, bit for bit, whoever advances the world and how. With a board attached by `attach`, the plants even lag
behind the timeline until somebody asks or tells them something: most events (a byte on a line) do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from sim_hw.plant.chain import GRID_TICKS, Chain, FineModel
from sim_hw.plant.coarse_block import COMMAND, MOTOR_RATE, boresight
from sim_hw.plant.fine import FineParameters, FinePlant
from sim_hw.plant.gimbal import Gimbal, GimbalParameters
from sim_hw.plant.light_block import (
    COARSE,
    EMITTING,
    FINE,
    FLAGS,
    ILLUMINATED,
    LEFT,
    LIT,
    MIRROR,
    RECEIVED,
    TOTAL,
    TRANSMIT,
)
from sim_hw.scenarios import Scenario
from sim_hw.scene.disturbances import TICK_S, Disturbances
from sim_hw.scene.earth import Site
from sim_hw.scene.mount import MountTerms, Standing
from sim_hw.scene.noise import Floats, stream
from sim_hw.scene.optics import laser_power_w
from sim_hw.scene.orbit import TabledTarget, Target
from sim_hw.scene.satellite import Terminal
from sim_hw.scene.sky import CatalogueStar, Sky
from sim_hw.scene.star_camera import Catalogue, StarCameraView, WideSky
from sim_hw.scene.tape import STEPS, TICK_NS, Tape
from sim_hw.scene.target import Directions, TargetTruth, Wavelengths
from sim_hw.scene.truth_log import MS_NS, Statistics, TruthLog, Window
from sim_hw.scene.view import CameraView, Spot
from sim_hw.timeline import Timeline
from sim_hw.wires.contract import Condition

_LOOK_AHEAD_S = 3600.0
_HIGH_RAD = math.radians(20.0)


class Board(Protocol):
    """The beam board as the world attaches it; sim_hw.devices.beamboard.BeamBoard."""

    io: Any
    catch_up: Callable[[], None]  # called before anything but the tick touches the firmware

    @property
    def tick_address(self) -> int:
        """Of the firmware's tick."""
        ...

    @property
    def board_address(self) -> int:
        """Of the firmware's state."""
        ...


class World:
    """A bench's world; `seed` draws everything that a scenario leaves open.

    `stars` is the catalogue of what the camera can see; `standing` is how the mount stands, else upright. `fine`
    stands in for mirror, quad cell and firmware in tests.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        utc0_ns: int,
        site: Site,
        target: Target | TabledTarget,
        stars: Sequence[CatalogueStar] = (),
        fine: FineModel | None = None,
        standing: Standing | None = None,
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.timeline = Timeline(utc0_ns)
        self.on_enable_change: list[Callable[[bool], None]] = []
        self._lags = False
        self._reported = False
        self._enable_changed_ns: int | None = None
        self._driven_w = 0.0  # what the laser would emit with the enable line up
        self._shutter_passes = True  # there is none
        link = scenario.link
        wavelengths = Wavelengths(
            1e-9 * link.beacon_wavelength_nm, 1e-9 * link.receive_wavelength_nm, 1e-9 * link.transmit_wavelength_nm
        )
        track = stream(seed, "ephemeris").standard_normal(2)
        self._along_m = scenario.ephemeris.along_track_m * float(track[0])
        self._cross_m = scenario.ephemeris.cross_track_m * float(track[1])
        self._truth = TargetTruth(target, site, utc0_ns, wavelengths, self._along_m, self._cross_m)
        self._high_s = self._first_high_s()
        self._outside = Disturbances(scenario, seed, self._truth, self._gust_start_s())
        self._tape = Tape(standing)

        g = scenario.gimbal
        self.gimbal = Gimbal(
            GimbalParameters.draw(g, stream(seed, "worm")),
            (math.radians(g.start_azimuth_deg), math.radians(g.start_elevation_deg)),
            self.timeline,
            stream(seed, "encoder"),
            self.catch_up,
        )
        self.mount_terms = MountTerms.draw(scenario.misalignment, stream(seed, "misalignment"))
        self._fine_parameters: FineParameters | None = None
        if fine is None:
            self._fine_parameters = FineParameters.draw(
                stream(seed, "fine parameters"), FineParameters(**scenario.fine.model_dump())
            )
            fine = FinePlant(self._fine_parameters, stream(seed, "fine noise"))
        self._fine = fine
        terminal = Terminal.create(scenario.satellite, TICK_S, stream(seed, "satellite"))
        self._detector_phase_s = float(terminal.state[LEFT]) * TICK_S
        self._chain = Chain(
            scenario,
            self._tape,
            self._outside,
            self.gimbal,
            self.mount_terms.array,
            fine,
            scenario.fine.range_rad,
            terminal,
            standing,
        )
        sky = Sky(stars, site, utc0_ns, wavelengths.beacon_m) if stars else None
        self._view = CameraView(
            scenario.camera, self._tape, sky, stream(seed, "camera"), stream(seed, "stars"), standing
        )
        self._star_camera: StarCameraView | None = None
        self._site, self._standing = site, standing
        self._chain.start(self._truth.at(np.array([0.0])))
        self.timeline.schedule(GRID_TICKS * TICK_NS, self._watch_enable_line)

    # Time

    @property
    def now_ns(self) -> int:
        """Nanoseconds since the bench started."""
        return self.timeline.now_ns

    def next_event_ns(self) -> int | None:
        """Time of the earliest event."""
        return self.timeline.next_event_ns()

    def advance(self, to_ns: int) -> None:
        """Let time pass to `to_ns`: events in order, plants in between."""
        self.timeline.advance(to_ns, None if self._lags else self._chain.run_to)

    def work_ahead(self) -> bool:
        """Prepare a piece of the second to come, for whoever has time now; False when it is ready."""
        return self._outside.work_ahead()

    def catch_up(self) -> None:
        """Run the plants up to now, if they lag."""
        self._chain.run_to(self.timeline.now_ns)

    # What was drawn, and what is so

    @property
    def drawn(self) -> dict[str, Any]:
        """What the seed drew, and what the air does to the pass above 20 degrees; SI units in the names."""
        drawn: dict[str, Any] = {
            "mount": self.mount_terms.as_dict(),
            "ephemeris_along_track_m": self._along_m,
            "ephemeris_cross_track_m": self._cross_m,
            "satellite_detector_phase_s": self._detector_phase_s,
            **self.gimbal.drawn(),
            **self._outside.drawn,
            **self._view.mount.drawn(),
        }
        air, power = self._outside.over(self._high_s)
        drawn.update(air)
        if self._star_camera is not None:
            drawn.update(self._star_camera.drawn())
        if self._fine_parameters is not None:
            drawn["fine"] = self._fine_parameters.summary()
            noise_rad = [self._fine_parameters.noise_equivalent_angle_rad(float(p)) for p in power]
            if noise_rad:  # of the quad cell, a sample, in the mean square over the same time
                drawn["fine"]["noise_equivalent_angle_rad"] = float(np.sqrt(np.mean(np.square(noise_rad))))
        return drawn

    def directions(self, t_s: Floats) -> Directions:
        """The target's true directions at rising times, seconds since the bench started."""
        return self._truth.at(t_s)

    def axis_boresight_rad(self, azimuth_axis_rad: float, elevation_axis_rad: float) -> tuple[float, float]:
        """Where the telescope looks at two axis angles (worm, backlash and wind left out): truth of a mount model.

        As angles about the axes as they should stand: azimuth and elevation where these are upright.
        """
        azimuth, elevation = boresight(azimuth_axis_rad, elevation_axis_rad, self.mount_terms.array)
        return float(azimuth), float(elevation)

    @property
    def log(self) -> TruthLog:
        """What happened until now, a row a millisecond."""
        self.catch_up()
        return self._chain.log

    def truth(self) -> dict[str, Any]:
        """The latest millisecond; keys are those of the bus' topic sim/truth/line_of_sight."""
        log = self.log
        row = log.last
        step = max(log.count - 1, 0) % STEPS
        flags, changed_ns = int(row[FLAGS]), self._enable_changed_ns
        return {
            "t_utc_ns": self.timeline.utc0_ns + log.count * MS_NS,
            "target_azimuth_rad": float(self._tape.sky_rad[step, 0]),
            "target_elevation_rad": float(self._tape.sky_rad[step, 1]),
            "range_m": float(self._tape.range_m[step]),
            "coarse_error_rad": _pair(row, COARSE),
            "total_error_rad": _pair(row, TOTAL),
            "fine_error_rad": _pair(row, FINE),
            "transmit_error_rad": _pair(row, TRANSMIT),
            "mirror_rad": _pair(row, MIRROR),
            "received_power_w": float(row[RECEIVED]),
            "beacon_on": bool(flags & LIT),
            "emitting": bool(flags & EMITTING),
            "illuminated": bool(flags & ILLUMINATED),
            "enable_line": self._chain.enable_line,
            "enable_changed_utc_ns": changed_ns if changed_ns is None else self.timeline.utc0_ns + changed_ns,
            "axis_command_rad_s": _pair(self.gimbal.state[:, COMMAND], 0),
            "axis_rate_rad_s": _pair(self.gimbal.state[:, MOTOR_RATE], 0),
        }

    def statistics(self, windows: Iterable[Window], power_threshold_w: float = 0.0) -> Statistics:
        """Figures of the truth log over windows of time (nanoseconds since the bench started)."""
        return self.log.statistics(windows, power_threshold_w)

    def fine_capture_rad(self, seconds: float = 10.0) -> Floats:
        """The last seconds (at most 16) of the fine error at 10 kHz, shape (n, 2): for a spectrum."""
        self.catch_up()
        return Tape.last(self._tape.fine_rad, self._chain.ticks, round(seconds / TICK_S))[:, 0:2]

    # What emulators ask for

    def attach(self, board: Board) -> None:
        """Connect the beam board; from now on the plants run only when something depends on them."""
        self.attach_board(board.tick_address, board.board_address, board.io)
        board.catch_up = self.catch_up
        self._lags = True

    def attach_board(self, tick_address: int, board_address: int, io: Any) -> None:
        """Connect a beam board's firmware by its addresses; the plants then run before every event."""
        self.catch_up()
        self._chain.attach(tick_address, board_address, io)

    @property
    def enable_line(self) -> bool:
        """The emission enable line, as of the last tick."""
        self.catch_up()
        return self._chain.enable_line

    def set_laser(self, output_on: bool, current_a: float) -> None:
        """What the laser driver does from now on."""
        self._driven_w = laser_power_w(self.scenario.laser, current_a) if output_on else 0.0
        self._shine()

    def set_shutter(self, passes: bool) -> None:
        """Whether the blades behind the laser let light through from now on."""
        self._shutter_passes = passes
        self._shine()

    def laser_power_w(self) -> float:
        """What leaves the laser now, as its monitor photodiode sees it: nothing without the enable line."""
        return self._driven_w if self.enable_line else 0.0

    def _shine(self) -> None:
        self.catch_up()
        self._chain.laser_w = self._driven_w if self._shutter_passes else 0.0

    def received_power_w(self) -> float:
        """What reaches the power meter now."""
        self.catch_up()
        return self._chain.received_w

    def camera_spots(self, t0_ns: int, t1_ns: int) -> list[Spot]:
        """The beacon and the stars in the camera's field over a past exposure; angles in the camera's plane."""
        self.catch_up()
        return self._view.spots(t0_ns, t1_ns, self._chain.ticks)

    def mount_star_camera(self, field_rad: float) -> StarCameraView:
        """Put the scenario's wide camera on the tube, behind a lens of that field.

        Raises ModuleNotFoundError where no catalogue of stars is installed.
        """
        camera, cloud = self.scenario.star_camera, self.scenario.cloud
        stars = Catalogue.hipparcos(camera.magnitude_max)
        sky = WideSky(stars, self._site, self.timeline.utc0_ns, 1e-9 * camera.wavelength_nm)
        clouds = (cloud.windows_s, cloud.transmission)
        rng = stream(self.seed, "star camera")
        self._star_camera = StarCameraView(
            camera, field_rad, self._tape, sky, self.mount_terms, clouds, rng, self._standing
        )
        return self._star_camera

    def star_camera_spots(self, t0_ns: int, t1_ns: int) -> list[tuple[float, ...]]:
        """Stars and glare in the star camera's field over a past exposure; tangents in the camera's plane."""
        if self._star_camera is None:
            return []
        self.catch_up()
        return self._star_camera.spots(t0_ns, t1_ns, self._chain.ticks)

    def board_conditions(self) -> dict[str, Condition]:
        """Faults of mirror and quad cell (sim_hw.faults); none where another model stands in for them."""
        fine = self._fine
        if not isinstance(fine, FinePlant):
            return {}

        def stuck(settings: Mapping[str, float] | None) -> None:
            self.catch_up()
            fine.stick(settings is not None)

        def wrong(settings: Mapping[str, float] | None) -> None:
            self.catch_up()
            fine.shift_null(0.0 if settings is None else settings["offset_rad"])

        return {"stuck": stuck, "wrong": wrong}

    def _watch_enable_line(self) -> None:
        """Tell who listens that the line changed; on a grid, so that it does not depend on the blocks."""
        self.timeline.schedule(self.now_ns + GRID_TICKS * TICK_NS, self._watch_enable_line)
        if (up := self.enable_line) != self._reported:
            self._reported = up
            self._enable_changed_ns = self._chain.enable_changed_ns()
            for tell in self.on_enable_change:
                tell(up)

    def _first_high_s(self) -> Floats:
        """The first time that the target is high, every 10 s; empty when that is more than an hour away."""
        t_s = np.arange(0.0, _LOOK_AHEAD_S, 10.0)
        high = np.flatnonzero(self._truth.elevation_rad(t_s) > _HIGH_RAD)
        gaps = np.flatnonzero(np.diff(high) > 1)
        return np.asarray(t_s[high[: gaps[0] + 1] if len(gaps) else high])

    def _gust_start_s(self) -> float:
        """Somewhere in the middle of that time."""
        draw = float(stream(self.seed, "gust").uniform(0.2, 0.8))
        if len(self._high_s) == 0:
            return 600.0 * draw
        return float(self._high_s[0] + draw * (self._high_s[-1] - self._high_s[0]))


def _pair(row: Any, column: int) -> tuple[float, float]:
    return float(row[column]), float(row[column + 1])
