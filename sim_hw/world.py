"""The one truth state of the emulated bench: time, scene and plants, advanced together.

Between two events of the timeline the plants run in compiled blocks on a 10 kHz grid; nothing depends on how the
blocks fall, so a seed gives one truth, bit for bit, whoever advances the world and how.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from sim_hw.plant.coarse_block import ERROR_AFTER, boresight, coarse_block, point
from sim_hw.plant.fine import FineParameters, FinePlant
from sim_hw.plant.gimbal import Gimbal, GimbalParameters
from sim_hw.plant.light_block import (
    COARSE,
    EMITTING,
    FINE,
    FLAGS,
    ILLUMINATED,
    LIT,
    MIRROR,
    RECEIVED,
    TOTAL,
    TRANSMIT,
    light_block,
)
from sim_hw.scenarios import Scenario
from sim_hw.scene.disturbances import TICK_S, TICKS, Disturbances
from sim_hw.scene.earth import Site
from sim_hw.scene.mount import MountTerms
from sim_hw.scene.noise import Floats, stream
from sim_hw.scene.optics import CameraMount, laser_power_w, reference_power_w, star_electrons_per_s
from sim_hw.scene.satellite import Terminal
from sim_hw.scene.sky import CatalogueStar, Sky
from sim_hw.scene.tape import RING, STEPS, Tape
from sim_hw.scene.target import Directions, Target, TargetTruth, Wavelengths
from sim_hw.scene.truth_log import MS_NS, Statistics, TruthLog, Window
from sim_hw.timeline import Timeline

TICK_NS = 100_000
GRID_TICKS = 50  # 5 ms: the longest block, shorter than anything that the far end can decide
_ARCSEC = math.pi / 648_000.0
_GUST_SEARCH_S = 3600


class Spot(NamedTuple):
    """A point of light in the camera's plane."""

    x_rad: float
    y_rad: float
    electrons_per_s: float


class FineModel(Protocol):
    """Mirror, quad cell and firmware as the world sees them; sim_hw.plant.fine.FinePlant."""

    def attach(self, tick_address: int, board_address: int, io: Any) -> None:
        """Connect the firmware."""
        ...

    def run(self, los_error: Floats, power: Floats) -> Any:
        """Advance by len(power) ticks; returns what FineBlock has."""
        ...


class World:
    """Compose a bench's world; `seed` draws everything that a scenario leaves open."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        utc0_ns: int,
        site: Site,
        target: Target,
        stars: Sequence[CatalogueStar] = (),
        fine: FineModel | None = None,
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.timeline = Timeline(utc0_ns)
        self._log = TruthLog()
        self.on_enable_change: list[Callable[[bool], None]] = []
        link = scenario.link
        wavelengths = Wavelengths(
            1e-9 * link.beacon_wavelength_nm, 1e-9 * link.receive_wavelength_nm, 1e-9 * link.transmit_wavelength_nm
        )
        track = stream(seed, "ephemeris").standard_normal(2)
        self._along_m = scenario.ephemeris.along_track_m * float(track[0])
        self._cross_m = scenario.ephemeris.cross_track_m * float(track[1])
        self._truth = TargetTruth(target, site, utc0_ns, wavelengths, self._along_m, self._cross_m)
        self._outside = Disturbances(scenario, seed, self._truth, self._gust_start_s())
        self._tape = Tape()

        g = scenario.gimbal
        self.gimbal = Gimbal(
            GimbalParameters.draw(g, stream(seed, "worm")),
            (math.radians(g.start_azimuth_deg), math.radians(g.start_elevation_deg)),
            self.timeline,
            stream(seed, "encoder"),
        )
        self.mount_terms = MountTerms.draw(scenario.misalignment, stream(seed, "misalignment"))
        self._terms = self.mount_terms.array
        self._errors = np.zeros(4)
        self._camera = CameraMount.draw(scenario.camera, stream(seed, "camera"))
        self._sky = Sky(stars, site, utc0_ns, wavelengths.beacon_m) if stars else None
        noise_rad = scenario.camera.star_noise_arcsec * _ARCSEC
        self._star_offset_rad = noise_rad * stream(seed, "stars").standard_normal((len(stars), 2))
        self._terminal = Terminal.create(scenario.satellite, TICK_S, stream(seed, "satellite"))

        self._fine_parameters: FineParameters | None = None
        if fine is None:
            self._fine_parameters = FineParameters.draw(stream(seed, "fine parameters"))
            fine = FinePlant(self._fine_parameters, stream(seed, "fine noise"))
        self._fine = fine
        mirror_range_rad = self._fine_parameters.range_rad if self._fine_parameters else 2e-3
        self._light_p = np.array(
            [
                reference_power_w(link),
                2.0 / (1e-6 * link.coupling_radius_urad) ** 2,
                0.99 * mirror_range_rad,
                scenario.laser.nominal_w,
                TICK_S,
            ]
        )
        self._attached = False
        self._ticks = 0  # done by the plants
        self._counted = 0  # of these, done by the light block
        self._laser_w = 0.0
        self._laser_on = False
        self._reported = False
        self._start()

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
        self.timeline.advance(to_ns, self._run_to)

    # What was drawn, and what is so

    @property
    def drawn(self) -> dict[str, Any]:
        """Everything that the seed drew and a summary can hold, SI units in the names."""
        drawn: dict[str, Any] = {
            "mount": self.mount_terms.as_dict(),
            "ephemeris_along_track_m": self._along_m,
            "ephemeris_cross_track_m": self._cross_m,
            **self.gimbal.drawn(),
            **self._outside.drawn,
            **self._camera.drawn(),
        }
        if self._fine_parameters is not None:
            drawn["fine"] = self._fine_parameters.summary()
        return drawn

    def directions(self, t_s: Floats) -> Directions:
        """The target's true directions at rising times, seconds since the bench started."""
        return self._truth.at(t_s)

    def axis_boresight_rad(self, azimuth_axis_rad: float, elevation_axis_rad: float) -> tuple[float, float]:
        """Where the telescope looks at two axis angles (worm, backlash and wind left out): truth of a mount model."""
        azimuth, elevation = boresight(azimuth_axis_rad, elevation_axis_rad, self._terms)
        return float(azimuth), float(elevation)

    @property
    def log(self) -> TruthLog:
        """What happened until now, a row a millisecond."""
        self._count_light()
        return self._log

    def truth(self) -> dict[str, Any]:
        """The latest millisecond; keys are those of the bus' topic sim/truth/line_of_sight."""
        row = self.log.last
        step = max(self._log.count - 1, 0) % STEPS
        flags = int(row[FLAGS])
        return {
            "t_utc_ns": self.timeline.utc0_ns + self._log.count * MS_NS,
            "target_azimuth_rad": float(self._tape.target_rad[step, 0]),
            "target_elevation_rad": float(self._tape.target_rad[step, 1]),
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
        }

    def statistics(self, windows: Iterable[Window], power_threshold_w: float = 0.0) -> Statistics:
        """Figures of the truth log over windows of time (nanoseconds since the bench started)."""
        return self.log.statistics(windows, power_threshold_w)

    def fine_capture_rad(self, seconds: float = 10.0) -> Floats:
        """The last seconds (at most 16) of the fine error at 10 kHz, shape (n, 2): for a spectrum."""
        return Tape.last(self._tape.fine_rad, self._ticks, round(seconds / TICK_S))[:, 0:2]

    # What emulators ask for

    def attach_board(self, tick_address: int, board_address: int, io: Any) -> None:
        """Connect the beam board's firmware; until then the mirror rests and the enable line is down."""
        self._fine.attach(tick_address, board_address, io)
        self._attached = True

    @property
    def enable_line(self) -> bool:
        """The emission enable line, as of the last tick."""
        return bool(self._tape.enable[(self._ticks - 1) % RING])

    def set_laser(self, output_on: bool, current_a: float) -> None:
        """What the laser driver does from now on."""
        self._laser_on = output_on
        self._laser_w = laser_power_w(self.scenario.laser, current_a) if output_on else 0.0

    def laser_power_w(self) -> float:
        """What leaves the laser now, as its monitor photodiode sees it: nothing without the enable line."""
        return self._laser_w if self.enable_line else 0.0

    def received_power_w(self) -> float:
        """What reaches the power meter now."""
        self._count_light()
        return float(self._tape.received_w[(self._ticks - 1) % RING]) if self._ticks else 0.0

    def camera_spots(self, t0_ns: int, t1_ns: int) -> list[Spot]:
        """The beacon and the stars in the camera's field, each at its mean place over a past exposure (t0, t1].

        Angles in the camera's plane. A spot's own motion within the exposure does not smear it.
        """
        last = min(t1_ns // TICK_NS, self._ticks)
        count = max(1, last - t0_ns // TICK_NS)
        if last == 0:
            return []
        shake = Tape.last(self._tape.shake_rad, last, count).mean(axis=0)
        step = ((last - 1) // 10) % STEPS
        half_field = math.radians(self.scenario.camera.field_deg) * 0.55
        spots = []
        light = float(Tape.last(self._tape.power, last, count).mean())
        if light > 0.0:
            error = Tape.last(self._tape.line_of_sight_rad, last, count).mean(axis=0)
            error[1] += self._tape.dispersion_rad[step]
            x, y = self._camera.plane(error)
            if max(abs(x), abs(y)) < half_field:
                spots.append(Spot(x, y, light * self.scenario.camera.beacon_electrons_per_s))
        if self._sky is not None:
            spots += self._star_spots(0.5e-9 * (t0_ns + t1_ns), shake, half_field)
        return spots

    # Plants

    def _start(self) -> None:
        first = self._truth.at(np.array([0.0]))
        target = np.array([first.azimuth_rad[0], first.elevation_rad[0]])
        point(self.gimbal.state, self._terms, np.zeros(2), target, np.zeros(2), self._errors, ERROR_AFTER)
        self.timeline.schedule(GRID_TICKS * TICK_NS, self._watch_enable_line)

    def _watch_enable_line(self) -> None:
        """Tell who listens that the line changed; on a grid, so that it does not depend on the blocks."""
        self.timeline.schedule(self.now_ns + GRID_TICKS * TICK_NS, self._watch_enable_line)
        if (up := self.enable_line) != self._reported:
            self._reported = up
            for tell in self.on_enable_change:
                tell(up)

    def _run_to(self, t_ns: int) -> None:
        end = t_ns // TICK_NS
        while self._ticks < end:
            first = self._ticks
            inside = first % GRID_TICKS
            if inside == 0:
                self._count_light()
                if first % TICKS == 0:
                    self._tape.load(first // TICKS, self._outside.next())
            self._block(first, min(end - first, GRID_TICKS - inside))

    def _block(self, first: int, count: int) -> None:
        tape, gimbal = self._tape, self.gimbal
        coarse_block(
            first, count, RING, gimbal.state, gimbal.rows, self._terms, self._errors,
            tape.target_rad, tape.wind_rad, tape.boresight_rad, tape.shake_rad, tape.gain, self._terminal.light,
            tape.coarse_rad, tape.line_of_sight_rad, tape.power,
        )  # fmt: skip
        place = first % RING
        now = slice(place, place + count)
        if self._attached:
            block = self._fine.run(tape.line_of_sight_rad[now], tape.power[now])
            tape.fine_rad[now, 0:2] = block.residual
            tape.fine_rad[now, 2:4] = block.mirror
            tape.fine_rad[now, 4:6] = block.point_ahead
            tape.enable[now] = block.enable
        else:
            tape.fine_rad[now, 0:2] = tape.line_of_sight_rad[now]
            tape.fine_rad[now, 2:6] = 0.0
            tape.enable[now] = False
        tape.emitted_w[now] = self._laser_w
        self._ticks = first + count
        gimbal.stepped_ns = -(-self._ticks // 10) * MS_NS

    def _count_light(self) -> None:
        """Bring the satellite, the received power and the log up to the plants."""
        tape = self._tape
        if self._counted == self._ticks:
            return
        log, row, _ = self._log.room()
        after = light_block(
            self._counted, self._ticks - self._counted, RING, tape.coarse_rad, tape.line_of_sight_rad, tape.fine_rad,
            tape.enable, tape.emitted_w, tape.power, tape.apart_rad, tape.ahead_rad, tape.nominal_rad, tape.range_m,
            self._terminal.state, self._terminal.parameters, self._light_p,
            tape.transmit_rad, tape.received_w, log, row,
        )  # fmt: skip
        self._log.count += after - row
        self._counted = self._ticks

    def _star_spots(self, t_s: float, shake: Floats, half_field: float) -> list[Spot]:
        if self._sky is None:
            return []
        azimuth, elevation = self._boresight_at(t_s)
        level = math.cos(elevation)
        ahead = np.array([level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)])
        right = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
        above = np.array([-math.sin(elevation) * math.cos(azimuth), -math.sin(elevation) * math.sin(azimuth), level])
        stars = self._sky.north_east_up(t_s)
        spots = []
        for i in np.flatnonzero((ahead @ stars > math.cos(2.0 * half_field)) & (stars[2] > 0.0)):
            star = stars[:, i]
            error = np.array([math.atan2(right @ star, ahead @ star), math.asin(above @ star)])
            x, y = self._camera.plane(error + shake + self._star_offset_rad[i])
            if max(abs(x), abs(y)) < half_field:
                spots.append(Spot(x, y, star_electrons_per_s(self.scenario.camera, float(self._sky.magnitude[i]))))
        return spots

    def _boresight_at(self, t_s: float) -> tuple[float, float]:
        """Boresight of a past moment, interpolated between millisecond steps."""
        steps = -(-self._ticks // 10)
        at = min(max(t_s * 1e3 - 1.0, max(0, steps - STEPS + 1)), steps - 1.0)
        before = int(at)
        a = self._tape.boresight_rad[before % STEPS]
        b = self._tape.boresight_rad[min(before + 1, steps - 1) % STEPS]
        turn = math.remainder(b[0] - a[0], 2.0 * math.pi)
        return float(a[0] + (at - before) * turn), float(a[1] + (at - before) * (b[1] - a[1]))

    def _gust_start_s(self) -> float:
        """Somewhere in the middle of the first time that the target is above 20 degrees."""
        t_s = np.arange(0.0, _GUST_SEARCH_S, 10.0)
        high = np.flatnonzero(self._truth.elevation_rad(t_s) > math.radians(20.0))
        draw = float(stream(self.seed, "gust").uniform(0.2, 0.8))
        if len(high) == 0:
            return draw * 600.0
        gaps = np.flatnonzero(np.diff(high) > 1)
        end = high[gaps[0]] if len(gaps) else high[-1]
        return float(t_s[high[0]] + draw * (t_s[end] - t_s[high[0]]))


def _pair(row: Any, column: int) -> tuple[float, float]:
    return float(row[column]), float(row[column + 1])
