"""The gimbal loop: encoder sample in, axis rates out.

The mount is slow to talk to (about eleven turns a second) and slower to move (75 ms after a command), so a rate
command is planned for the moment at which it takes effect, and for the turn that it will last:

    predicted   the encoder then: the sample, plus the commands that are still on their way
    aim         where the previous command was meant to bring the encoder by then
    next aim    where the target (with correction, mount model and backlash) wants the encoder a turn later
    rate        (next aim - aim) / turn  +  gain * (aim - predicted)

The first part is the feed-forward as the mount can take it, held for a turn: it follows acceleration, corrections
and the crossing of the backlash at a reversal. The second works on what the mount did not do; far from the target it
becomes a braking curve. Nothing here reads a clock or a wire.

Azimuth and elevation are here the angles of the mount's two axes, however it stands: whoever hands over a target has
turned it (controller/pointing/mount_sky.py).

A gimbal that takes no such rates has a loop of its own: controller/pointing/steps.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from controller.bus.topics import Correction, Pair, PointingState
from controller.errors import BoresightError
from controller.geometry.trajectory import Look, Trajectory
from controller.pointing.axis import NS, Axis, closing_rate, near
from controller.pointing.correction import correction_at
from controller.pointing.course import Axes
from controller.pointing.ground import OPEN, Ground
from controller.pointing.keyhole import Way, way_over
from controller.pointing.mount import MountModel, Signs
from controller.pointing.offsets import NONE
from controller.pointing.play import CROSSING_S, Play
from controller.pointing.targets import Fixed, Target
from hal.traits import AxisPosition, GimbalCapabilities

GAIN_HZ = 4.0
BRAKING = 0.4  # share of the acceleration limit that the braking curve counts on
SLEWING_RAD = 1e-3  # further off than this is a slew
SETTLED_RAD = 150e-6  # about the camera's centroid noise and the worm error together, and well inside its field
SETTLED_S = 0.5
SETTLED_GRAINS, STILL_GRAINS = 1.2, 0.8  # steps of coarse encoders: half of one on each axis is 0.7 on the sky
STILL_RAD = 50e-6  # a fixed direction is reached: the axes stand, so that the play keeps its side
APPROACH_RAD = 3e-3
APPROACH_GRAINS = 3.0  # steps of coarse encoders, or of directions, over which it comes from its side at least
TINY_RAD = 1e-9
STOOD_NS = 3 * NS  # a way-point that the axes do not come nearer to for so long is beyond their travel
UPWARDS: Signs = (1.0, 1.0)
HALF_CROSSING_NS = round(CROSSING_S * NS / 2)
REVERSAL_RAD_S = 2e-6  # slower than this has no direction of its own
ENDLESS_RAD = (-1.5 * math.pi, 1.5 * math.pi)  # of azimuth, for a mount without stops: its cables
OVER_THE_AXIS_RAD = (-1.08 * math.pi, 1.08 * math.pi)  # where the first axis leans: its far side is in the ground
TURN_S = 0.09  # first guess of a turn; measured from then on
TURN_MAX_S = 0.3  # what is longer is a pause


class Option(NamedTuple):
    """One way to take a target: through its keyhole if it has one, by a turn of azimuth, unwinding in it or not."""

    way: Way | None
    azimuth_rad: float  # of the target, or of its path's beginning
    unwinds: bool = False


class GimbalLoop:
    """State of the loop between turns; `step` is a function of it and of its arguments alone."""

    def __init__(
        self,
        capabilities: GimbalCapabilities,
        model: MountModel | None = None,
        azimuth_limits_rad: Pair | None = None,
        ground: Ground = OPEN,
    ) -> None:
        self.capabilities = capabilities
        self.model = model or MountModel()
        self.ground = ground.for_gimbal(capabilities)
        self.target: Target | None = None
        self._travel_rad = capabilities.travel_rad and capabilities.travel_rad[0]
        endless = ENDLESS_RAD if self.model.frame.level else OVER_THE_AXIS_RAD
        self._azimuth_limits_rad = azimuth_limits_rad or self._travel_rad or endless
        band_rad = capabilities.dead_band_rad
        self._settled_rad = max(SETTLED_RAD, SETTLED_GRAINS * capabilities.resolution_rad, math.sqrt(2) * band_rad)
        self._still_rad = max(STILL_RAD, STILL_GRAINS * capabilities.resolution_rad, band_rad)
        self._grain_rad = capabilities.resolution_rad
        self._axes = (Axis(), Axis())
        self._plays = (Play(), Play())
        self._way: Way | None = None  # through a keyhole
        self.offsets = NONE
        self.unwinds = False  # the path fits between the stops in no turn
        self._goal: Fixed | None = None  # the real goal while a way-point is the target
        self._nearest: tuple[int, float] | None = None  # when both axes were nearest to the way-point, and how near
        self._sample: tuple[int, float, float] | None = None
        self._stands: Pair | None = None  # the same as a direction
        self._waits_rad: float | None = None  # where azimuth waits until elevation is above what stands in its way
        self._round = False  # the way leads round what stands between
        self._wound_rad = 0.0  # azimuth with its turns before the first sample
        self._turn_s, self._turn_max_s = TURN_S, TURN_MAX_S
        self._last_step_ns = 0
        self._doubtful = False  # a command went out, and nobody knows what the axes have heard of it
        self._path_azimuth: float | None = None
        self._near_since_ns: int | None = None
        self._arrived = False

    def follow(self, target: Target | None, way: Way | None = None, by: Option | None = None) -> None:
        """Take a new target, or none; azimuth will go by the turn that suits its whole path, and its way if any.

        `by` is one of the target's `options`; without it the first is taken, once it is known where the axes stand.
        """
        self._goal, self._way, self.unwinds = None, way, False
        self.offsets = NONE
        self._nearest = None
        approach_rad = self.capabilities.approach_rad
        if isinstance(target, Fixed) and approach_rad and not any(target.approach):
            target = replace(target, approach=UPWARDS)
        if isinstance(target, Fixed) and any(target.approach):
            self._goal = target
            way_rad = max(APPROACH_RAD, approach_rad, APPROACH_GRAINS * self._grain_rad)
            target = target.before(way_rad + self.capabilities.dead_band_rad)
        self._begin(target)
        if target is not None and self._sample is not None:
            self._take(by or self.options(self._goal or target, [way])[0])

    def wind(self, azimuth_rad: float) -> None:
        """Azimuth with its turns, as it was known before this loop began."""
        self._wound_rad = azimuth_rad

    @property
    def wound_rad(self) -> float | None:
        """Azimuth with its turns as last seen, of a mount that does not tell them; None before."""
        return self._sample[1] if self._sample is not None and self._travel_rad is None else None

    def use(self, model: MountModel) -> None:
        """Change the mount model; the way to the new aim is driven, not jumped."""
        self.model = model
        for axis in self._axes:
            axis.aim = None

    def step(
        self, now_ns: int, utc_offset_ns: int, sample: AxisPosition, correction: Correction | None, age_s: float
    ) -> tuple[Pair, PointingState]:
        """One turn: rates for (azimuth, elevation) in rad/s, and what to publish.

        `utc_offset_ns` is UTC minus the monotonic clock; `age_s` is the time since the correction was received.
        """
        if self._last_step_ns:
            turn_s = (now_ns - self._last_step_ns) / NS
            self._turn_s += 0.2 * (min(self._turn_max_s, max(0.01, turn_s)) - self._turn_s)
        self._last_step_ns = now_ns
        encoder = self._unwrapped(sample)
        motion = self._motion(encoder)
        self._stands = self.model.direction(*encoder, motion)
        boresight = self._upright(self._stands)
        if self.target is None:
            self._path_azimuth = None
            here = Look(*boresight, 0.0, 0.0, 0.0, 0.0)
            return (0.0, 0.0), self._state("idle", sample, utc_offset_ns, boresight, here, (0.0, 0.0), (0.0, 0.0))
        if self._path_azimuth is None:
            self._take(self.options(self._goal or self.target, [self._way])[0])
        t_utc_ns = sample.t_ns + utc_offset_ns
        look = self.offsets.look(self.target, t_utc_ns)
        # By the turn that the path takes: a whole turn of azimuth away is not there yet.
        round_rad = self._way.rounded_rad(t_utc_ns) if self._way is not None else 0.0
        look = look._replace(azimuth_rad=near(look.azimuth_rad, self._path_azimuth) - round_rad)
        turn = (boresight[0] - look.azimuth_rad) * math.cos(look.elevation_rad)
        deviation = (turn, boresight[1] - look.elevation_rad)
        wanted = correction_at(correction, age_s, t_utc_ns)
        reached = self.capabilities.has_elevation  # else elevation is as it is
        off_rad = math.hypot(deviation[0] - wanted[0], (deviation[1] - wanted[1]) * reached)
        axes_off_rad = max(abs(boresight[0] - look.azimuth_rad), abs(deviation[1]) * reached)
        target = self._arrive(self.target, off_rad, axes_off_rad, sample.t_ns)
        next_s = self._axes[1].lead_s + self.capabilities.command_latency_s + self._turn_s
        needed = (wanted[0] - deviation[0], wanted[1] - deviation[1])
        self._stand(target, look, needed, now_ns + utc_offset_ns + round(next_s * NS))
        rates = self._rates(target, now_ns, utc_offset_ns, sample.t_ns, encoder, correction, age_s)
        if isinstance(target, Fixed) and self._goal is None and off_rad < self._still_rad:
            rates = (0.0, 0.0)
        activity = self._activity(target, sample.t_ns)
        return rates, self._state(activity, sample, utc_offset_ns, boresight, look, deviation, wanted)

    def sent(self, azimuth_rad_s: float, elevation_rad_s: float, step_ns: int, begin_ns: int, end_ns: int) -> None:
        """Remember what was sent: `begin_ns` and `end_ns` are the clock around the call that sent both rates.

        The call is two exchanges of a command and a longer reply: the command is about the first third of each.
        """
        self._doubtful = False
        exchange_ns = (end_ns - begin_ns) // 2
        latency_ns = round(self.capabilities.command_latency_s * NS)
        for index, (axis, rate) in enumerate(zip(self._axes, (azimuth_rad_s, elevation_rad_s), strict=True)):
            out_ns = begin_ns + index * exchange_ns + exchange_ns // 3
            axis.sent.append((out_ns + latency_ns, rate))
            axis.lead_s += 0.2 * ((out_ns - step_ns) / NS - axis.lead_s)

    def doubt(self) -> None:
        """A command failed: the axes may have heard all of it or a part, and its answer is lost."""
        self._doubtful = True

    def stopped(self, now_ns: int) -> None:
        """The axes were told to stop outside of `step`, and have said yes."""
        self._doubtful = False
        latency_ns = round(self.capabilities.command_latency_s * NS)
        for axis in self._axes:
            axis.sent.append((now_ns + latency_ns, 0.0))
            axis.aim = None

    @property
    def notice(self) -> str:
        """What an operator should know of the path before it is flown, or nothing."""
        if self.unwinds:
            axis = self.model.frame.axis_names[0]
            return f"{axis} has to unwind in the middle of the pass: no turn of it fits between the stops"
        return self._way.sentence if self._way is not None else ""

    @property
    def at_rest(self) -> bool:
        """No axis has been told to move."""
        return not self._doubtful and all(axis.rate == 0.0 for axis in self._axes)

    # One turn in parts

    def _begin(self, target: Target | None) -> None:
        self.target = target
        self._near_since_ns = None
        self._arrived = False
        for axis in self._axes:
            axis.aim = None

    def _unwrapped(self, sample: AxisPosition) -> Pair:
        azimuth, elevation = sample.azimuth_rad, sample.elevation_rad
        last = self._sample[1] if self._sample is not None else self._wound_rad
        if self._travel_rad is None:  # else it is told with its turn
            azimuth = near(azimuth, last)
        elevation = math.remainder(elevation, math.tau)
        self._sample = (sample.t_ns, azimuth, elevation)
        return azimuth, elevation

    def _motion(self, encoder: Pair) -> Signs:
        return (
            self._plays[0].update(encoder[0], self.model.BA),
            self._plays[1].update(encoder[1], self.model.BE),
        )

    def _arrive(self, target: Target, off_rad: float, axes_off_rad: float, t_ns: int) -> Target:
        """Note how near the target is; a way-point that both axes have reached gives way to the goal."""
        if self._goal is not None and self._is_before(axes_off_rad, t_ns):
            target, self._goal = self._goal, None
            self._begin(target)
            return target
        self._arrived = self._arrived or off_rad < max(SLEWING_RAD, self._settled_rad)
        if off_rad >= self._settled_rad:
            self._near_since_ns = None
        elif self._near_since_ns is None:
            self._near_since_ns = t_ns
        return target

    def _is_before(self, off_rad: float, t_ns: int) -> bool:
        """The axes are at the way-point, or as near as they come."""
        if self._round or self._nearest is None or off_rad < self._nearest[1] - STILL_RAD:
            self._nearest = t_ns, off_rad
        return off_rad < max(APPROACH_RAD / 6, self._grain_rad) or t_ns - self._nearest[0] > STOOD_NS

    def _settled(self, t_ns: int) -> bool:
        since_ns = self._near_since_ns
        return since_ns is not None and self._goal is None and t_ns - since_ns >= SETTLED_S * NS

    def _activity(self, target: Target, t_ns: int) -> str:
        if isinstance(target, Fixed):
            return "hold" if self._settled(t_ns) else "slew"
        return "track" if self._arrived else "slew"

    def _rates(
        self,
        target: Target,
        now_ns: int,
        utc_offset_ns: int,
        sample_ns: int,
        encoder: Pair,
        correction: Correction | None,
        age_s: float,
    ) -> Pair:
        limit = self.capabilities
        rates = []
        for index, axis in enumerate(self._axes):
            effect_ns = now_ns + round((axis.lead_s + limit.command_latency_s) * NS)
            next_ns = effect_ns + round(self._turn_s * NS)
            predicted = encoder[index] + axis.travel(sample_ns, effect_ns)
            next_aim = self._wanted(target, next_ns, utc_offset_ns, correction, age_s)[index]
            if axis.aim is None:
                aim = self._wanted(target, effect_ns, utc_offset_ns, correction, age_s)[index]
            else:  # the previous command is meant to go on until this one takes over
                aim = axis.aim[1] + axis.rate * (effect_ns - axis.aim[0]) / NS
            rate = (next_aim - aim) / self._turn_s + closing_rate(
                aim - predicted, GAIN_HZ, BRAKING * limit.acceleration_max_rad_s2
            )
            change = limit.acceleration_max_rad_s2 * self._turn_s
            rate = min(axis.rate + change, max(axis.rate - change, rate))
            rates.append(limit.possible(rate))
            axis.aim = (next_ns, next_aim)
        return rates[0], rates[1]

    def _wanted(
        self, target: Target, t_ns: int, utc_offset_ns: int, correction: Correction | None, age_s: float
    ) -> Pair:
        """Encoder angles that put the boresight on the corrected target at a moment."""
        t_utc_ns = t_ns + utc_offset_ns
        look = self.offsets.look(target, t_utc_ns)
        x, y = correction_at(correction, age_s, t_utc_ns)
        azimuth = look.azimuth_rad + x / max(0.05, math.cos(look.elevation_rad))
        elevation = look.elevation_rad + y
        if not math.isfinite(azimuth + elevation):
            raise BoresightError("What the gimbal follows is no direction.")
        azimuth = near(azimuth, self._path_azimuth)
        on_path_ns = t_utc_ns + round(self.offsets.time_s * NS)
        axes = self._way.axes(on_path_ns, azimuth, elevation) if self._way is not None else (azimuth, elevation)
        reached = axes[0] if self._goal is not None else self._reachable(axes[0])
        self._path_azimuth = azimuth + reached - axes[0]
        return self.model.encoder(*self._above((reached, axes[1])), self._sides(target, t_utc_ns))

    def _above(self, goal: Pair) -> Pair:
        """Where to go on the way to a goal, without looking lower than the mount may."""
        if self._stands is None or not self.capabilities.has_elevation:
            return goal
        (azimuth, elevation), waits = self.ground.aim(self._stands, goal, self.model.frame)
        own, _ = self.ground.aim(goal, goal, self.model.frame)
        self._round = waits or abs(elevation - own[1]) > TINY_RAD
        if not waits:
            self._waits_rad = None
            return azimuth, elevation
        self._waits_rad = azimuth if self._waits_rad is None else self._waits_rad
        return self._waits_rad, elevation

    def _upright(self, direction: Pair) -> Pair:
        """The same direction with elevation up to 90 degrees: a mount may stand over the top."""
        azimuth, elevation = direction
        if elevation <= math.pi / 2:
            return direction
        return near(azimuth + math.pi, self._path_azimuth), math.pi - elevation

    def _sides(self, target: Target, t_utc_ns: int) -> Signs:
        """Where in its play each axis should stand: from any side at a target that stands still."""
        if isinstance(target, Fixed):  # then the one on which the axis is going to arrive
            return target.approach if any(target.approach) else (self._plays[0].state, self._plays[1].state)
        azimuth, elevation = (play.wanted or 0.0 for play in self._plays)
        over = self._way is not None and self._way.turned_over(t_utc_ns)
        return azimuth, -elevation if over else elevation

    def _stand(self, target: Target, look: Look, needed: Pair, next_utc_ns: int) -> None:
        """Say where in its play each axis should stand: on the side of the target's motion, else where it is.

        Around a reversal the encoder crosses the play at an even pace while the axis nearly stands. Crossing within
        one turn would miss by what the jitter of the commands makes of 1.8 mrad/s (40 µrad); over `CROSSING_S` that
        and the target's own motion meanwhile are below 10 µrad each. `needed` is how far the boresight is off on the
        sky; a way through a keyhole is off on purpose.
        """
        if isinstance(target, Fixed):
            return
        before, after = (target.receive(next_utc_ns + half) for half in (-HALF_CROSSING_NS, HALF_CROSSING_NS))
        follows, shrink = self._arrived and self._way is None, max(0.05, math.cos(look.elevation_rad))
        offs = (needed[0] / shrink, needed[1]) if follows else (0.0, 0.0)
        rates = (
            (before.azimuth_rate_rad_s, after.azimuth_rate_rad_s),
            (before.elevation_rate_rad_s, after.elevation_rate_rad_s),
        )
        for axis, play, (first, last), off in zip(self._axes, self._plays, rates, offs, strict=True):
            if max(abs(first), abs(last)) > REVERSAL_RAD_S:
                axis.side = (first + last) / (abs(first) + abs(last))
            elif axis.side == 0.0:
                axis.side = math.copysign(1.0, play.state)
            play.stand(axis.side, off, (first + last) / 2, self._turn_s)

    def _take(self, option: Option) -> None:
        self._way, self._path_azimuth, self.unwinds = option.way, option.azimuth_rad, option.unwinds

    def options(self, target: Target, ways: Sequence[Way | None]) -> list[Option]:
        """How the axes can take a target, the best first: by each of some ways, by each turn that fits.

        The whole path stays inside the limits; the turn that is nearest comes first, for each way. Where none fits, a
        mount that can fly the whole path over the top does that, or azimuth unwinds.
        """
        here = self._sample[1] if self._sample is not None else self._wound_rad
        if not isinstance(target, Trajectory):
            first = target.receive(0).azimuth_rad
            if isinstance(target, Fixed) and target.unwound and self._travel_rad is None:
                here = sum(self._azimuth_limits_rad) / 2
            turns = self._turns(first, first, first, here)
            return [Option(None, turn) for turn in turns] or [Option(None, near(first, here))]
        span = target.end_utc_ns - target.start_utc_ns
        times = target.start_utc_ns + np.arange(121, dtype=np.int64) * (span // 120)
        path = target.sample(times)[:, :2]
        first = float(path[0, 0])
        ways = list(ways) or [None]
        travel = self.capabilities.travel_rad
        if ways == [None] and travel is not None and math.pi - float(path[:, 1].min()) <= travel[1][1]:
            ways.append(way_over(target, self.model.frame))
        options = []
        for way in ways:
            turned = path[:, 0] if way is None else way.planned(times, path, path[:, 0])[:, 0]
            turns = self._turns(first, float(turned.min()), float(turned.max()), here)
            options += [(number, Option(way, turn)) for number, turn in enumerate(turns)]
        options.sort(key=lambda numbered: numbered[0])
        return [option for _, option in options] or [Option(ways[0], near(first, here), unwinds=True)]

    def _turns(self, first: float, low: float, high: float, encoder_azimuth: float) -> list[float]:
        """`first` by as many turns as bring all between `low` and `high` inside the limits, the nearest first."""
        below, above = (limit - self._zero_rad for limit in self._azimuth_limits_rad)
        turns = [math.tau * k for k in range(-2, 3) if low + math.tau * k >= below and high + math.tau * k <= above]
        return [first + turn for turn in sorted(turns, key=lambda t: abs(low + t - encoder_azimuth))]

    def see(self, sample: AxisPosition) -> None:
        """Where the axes stand, before the first step."""
        self._unwrapped(sample)

    @property
    def axes(self) -> Axes:
        """Where the axes stand as last seen, how fast they are, and the stops of azimuth."""
        stops = self._travel_rad and (self._travel_rad[0] - self._zero_rad, self._travel_rad[1] - self._zero_rad)
        stands = self.model.direction(*self._sample[1:]) if self._sample is not None else None
        return Axes(stands, self.capabilities.rate_max_rad_s, stops, self.model.frame, self.ground)

    @property
    def _zero_rad(self) -> float:
        """What the encoder shows more than the azimuth of the sky, for limits that are of the encoder."""
        return self.model.IA if self._travel_rad is not None else 0.0

    def _reachable(self, azimuth_rad: float) -> float:
        """The same azimuth, a turn further where travel or cables end: it must swing round."""
        low, high = (limit - self._zero_rad for limit in self._azimuth_limits_rad)
        if azimuth_rad > high and azimuth_rad - math.tau >= low:
            return azimuth_rad - math.tau
        if azimuth_rad < low and azimuth_rad + math.tau <= high:
            return azimuth_rad + math.tau
        return azimuth_rad

    def _soon(self, t_ns: int) -> Pair:
        """How fast the axes turn until the next sample, rad/s: what the commands move them, less what play swallows."""
        until_ns = t_ns + round(self._turn_s * NS)
        azimuth, elevation = (
            play.passes(axis.travel(t_ns, until_ns)) / self._turn_s
            for axis, play in zip(self._axes, self._plays, strict=True)
        )
        return azimuth, elevation

    def _state(
        self,
        activity: str,
        sample: AxisPosition,
        utc_offset_ns: int,
        boresight: Pair,
        look: Look,
        deviation: Pair,
        wanted: Pair,
    ) -> PointingState:
        azimuth_rate, elevation_rate = self._soon(sample.t_ns)
        t_utc_ns = sample.t_ns + utc_offset_ns
        turn_rate = (azimuth_rate - look.azimuth_rate_rad_s) * math.cos(look.elevation_rad)
        until_sent_s = (self._last_step_ns - sample.t_ns) / NS + self._axes[1].lead_s
        return PointingState(
            t_utc_ns=t_utc_ns,
            activity=activity,
            azimuth_rad=boresight[0],
            elevation_rad=boresight[1],
            azimuth_rate_rad_s=azimuth_rate,
            elevation_rate_rad_s=elevation_rate,
            target_azimuth_rad=look.azimuth_rad,
            target_elevation_rad=look.elevation_rad,
            target_azimuth_rate_rad_s=look.azimuth_rate_rad_s,
            target_elevation_rate_rad_s=look.elevation_rate_rad_s,
            range_m=look.range_m,
            deviation_rad=deviation,
            deviation_rate_rad_s=(turn_rate, elevation_rate - look.elevation_rate_rad_s),
            point_ahead_rad=self.target.point_ahead(t_utc_ns) if self.target is not None else (0.0, 0.0),
            correction_rad=wanted,
            command_latency_s=until_sent_s + self.capabilities.command_latency_s,
            settled=self.target is not None and self._settled(sample.t_ns),
            time_bias_s=self.offsets.time_s,
            track_offset_rad=(self.offsets.in_track_rad, self.offsets.cross_track_rad),
            way_ahead_rad=self._way.ahead(t_utc_ns) if self._way is not None else (),
        )
