"""Everything outside that shakes the line of sight or dims the light, drawn ahead a second at a time.

A chunk never depends on how the plant is cut into blocks, nor one disturbance on another's being switched off.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from sim_hw.scenarios import Scenario
from sim_hw.scene.noise import Floats, GaussMarkov, stream
from sim_hw.scene.target import Directions, TargetTruth, joined
from sim_hw.scene.turbulence import Atmosphere, Seeing

TICK_S = 1e-4
TICKS = 10_000  # a chunk: one second
MS = 1_000
PARTS = 4  # of a second, for the directions


@dataclass(frozen=True, slots=True)
class Chunk:
    """One second. Row i of a tick array is for (i + 1) * 0.1 ms into the chunk, of a ms array for (i + 1) ms."""

    directions: Directions  # ms
    wind_rad: Floats  # (MS, 2): what flexure adds to the boresight, (cross-elevation, elevation)
    shake_rad: Floats  # (TICKS, 2): jitter and tilt, adds to target minus boresight
    anisoplanatic_rad: Floats  # (TICKS, 2): tilt seen by the transmit beam minus that of the received light
    gain: Floats  # (TICKS,): received light against the reference range at zenith, scintillation and cloud included


class Disturbances:
    """The generator of chunks; call `next` for chunk 0, 1, 2, ..."""

    def __init__(self, scenario: Scenario, seed: int, truth: TargetTruth, gust_start_s: float) -> None:
        self._scenario = scenario
        self._truth = truth
        self._gust_start_s = gust_start_s
        self._gust_angle_rad = float(stream(seed, "gust direction").uniform(0.0, 2.0 * math.pi))
        self._atmosphere = Atmosphere(scenario.turbulence, scenario.link.aperture_m)
        self._wind = GaussMarkov(stream(seed, "wind"), 2, 1e-3, 1)
        self._jitter = GaussMarkov(stream(seed, "jitter"), 2, TICK_S, 1)
        self._tilt = GaussMarkov(stream(seed, "tilt"), 2, TICK_S, 2)
        self._anisoplanatic = GaussMarkov(stream(seed, "anisoplanatism"), 2, TICK_S, 2)
        self._scintillation = GaussMarkov(stream(seed, "scintillation"), 1, TICK_S, 2)
        self._index = 0
        self._begun: Generator[None, None, Chunk] | None = None
        self._ready: Chunk | None = None
        self._seeing, self._clear = self._at_second(0)

    @property
    def drawn(self) -> dict[str, float]:
        """For summaries."""
        return {"gust_start_s": self._gust_start_s, "gust_direction_rad": self._gust_angle_rad}

    def over(self, t_s: Floats) -> tuple[dict[str, float], Floats]:
        """What the air does to a pass, in the mean square over times (s), and the relative power at each in still air.

        `tilt_corner_hz` keeps the mean-square rate of tilt.
        """
        if len(t_s) == 0:
            return {}, np.zeros(0)
        seen = [self._at_second(float(t)) for t in t_s]
        tilt, corner, apart, chi = (
            np.array([getattr(seeing, name) for seeing, _ in seen])
            for name in ("tilt_rms_rad", "tilt_corner_hz", "anisoplanatic_rms_rad", "log_amplitude_rms")
        )
        rate = _rms(tilt * corner)
        air = {
            "tilt_rms_rad": _rms(tilt),
            "tilt_corner_hz": rate / _rms(tilt) if rate > 0.0 else float(corner.mean()),
            "anisoplanatic_rms_rad": _rms(apart),
            "scintillation_log_amplitude_rms": _rms(chi),
        }
        return air, np.array([clear for _, clear in seen])

    def next(self) -> Chunk:
        """The next second; what `work_ahead` has done of it already is not done again."""
        while self.work_ahead():
            pass
        chunk, self._ready = self._ready, None
        if chunk is None:
            raise RuntimeError("work ahead ended without a chunk")
        return chunk

    def work_ahead(self) -> bool:
        """Do a part (some milliseconds) of the next second; False once there is no more to do.

        For real time, where a whole second at once would hold up everything else. Changes nothing of what is drawn.
        """
        if self._ready is not None:
            return False
        if self._begun is None:
            self._begun = self._parts()
        try:
            next(self._begun)
        except StopIteration as done:
            self._ready, self._begun = done.value, None
            return False
        return True

    def _parts(self) -> Generator[None, None, Chunk]:
        index = self._index
        self._index += 1
        before, clear_before = self._seeing, self._clear
        after, clear_after = self._at_second(index + 1)
        self._seeing, self._clear = after, clear_after
        yield
        start_s = float(index)
        ms_s: Floats = start_s + 1e-3 * np.arange(1.0, MS + 1)
        part = np.arange(1, TICKS + 1) / TICKS

        shake = self._jitter.draw(TICKS, self._scenario.jitter.corner_hz)
        density = 1e-12 * self._scenario.jitter.psd_at_zero_urad2_hz
        shake *= math.sqrt(0.5 * math.pi * density * self._scenario.jitter.corner_hz)
        yield
        tilt = self._tilt.draw(TICKS, before.tilt_corner_hz)
        shake += tilt * _ramp(before.tilt_rms_rad, after.tilt_rms_rad, part)[:, None]
        yield
        apart = self._anisoplanatic.draw(TICKS, before.tilt_corner_hz)
        apart *= _ramp(before.anisoplanatic_rms_rad, after.anisoplanatic_rms_rad, part)[:, None]

        yield
        sigma = _ramp(before.log_amplitude_rms, after.log_amplitude_rms, part)
        chi = sigma * self._scintillation.draw(TICKS, before.scintillation_corner_hz)[:, 0]
        gain = np.exp(2.0 * (chi - sigma * sigma)) * _ramp(clear_before, clear_after, part)
        gain *= self._cloud(start_s + part)
        yield
        directions = []
        for some_s in np.split(ms_s, PARTS):
            directions.append(self._truth.at(some_s))
            yield
        return Chunk(joined(directions), self._wind_rad(ms_s), shake, apart, gain)

    def _at_second(self, second: float) -> tuple[Seeing, float]:
        """Seeing, and light at the aperture in clear still air."""
        d = self._truth.at(np.array([second, second + 0.1]))
        across = float(np.diff(np.unwrap(d.azimuth_rad))[0]) * math.cos(float(d.elevation_rad[0]))
        slew_rad_s = math.hypot(across, float(np.diff(d.elevation_rad)[0])) / 0.1
        elevation_rad = float(d.elevation_rad[0])
        point_ahead_rad = math.hypot(*d.point_ahead_rad[0])
        link = self._scenario.link
        air_mass = 1.0 / math.sin(max(elevation_rad, math.radians(3.0)))
        clear = (link.reference_range_m / float(d.range_m[0])) ** 2 * link.zenith_transmission ** (air_mass - 1.0)
        return self._atmosphere.seeing(elevation_rad, slew_rad_s, point_ahead_rad), clear if elevation_rad > 0 else 0.0

    def _wind_rad(self, ms_s: Floats) -> Floats:
        wind = self._scenario.wind
        flexure = self._wind.draw(MS, wind.corner_hz) * (1e-6 * wind.rms_urad)
        phase = (ms_s - self._gust_start_s) / wind.gust_duration_s
        shape = np.where((phase > 0.0) & (phase < 1.0), 0.5 - 0.5 * np.cos(2.0 * math.pi * phase), 0.0)
        direction = np.array([math.cos(self._gust_angle_rad), math.sin(self._gust_angle_rad)])
        return np.asarray(flexure + 1e-6 * wind.gust_urad * shape[:, None] * direction)

    def _cloud(self, t_s: Floats) -> Floats | float:
        transmission: Floats | float = 1.0
        for start_s, end_s in self._scenario.cloud.windows_s:
            inside = (t_s >= start_s) & (t_s < end_s)
            transmission = np.where(inside, self._scenario.cloud.transmission, transmission)
        return transmission


def _rms(values: Floats) -> float:
    return math.sqrt(float(np.mean(values**2)))


def _ramp(start: float, end: float, part: Floats) -> Floats:
    return start + (end - start) * part
