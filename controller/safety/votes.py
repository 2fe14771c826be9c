"""All votes in one table, and the ballot that they make.

A vote is a function of what is known and says yes or no, with a reason; which input it rests on and how old that may
be stands beside it, for the operator and for docs/safety.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from controller.bus.topics import Vote
from controller.safety import votes_laser, votes_outside, votes_sky, votes_station
from controller.safety.failures import told
from controller.safety.inputs import Inputs
from controller.safety.limits import Limits
from controller.safety.opinion import Opinion


@dataclass(frozen=True, slots=True)
class Voter:
    """One row of the table."""

    ask: Callable[[Inputs, Limits], Opinion]
    rests_on: str  # the input, as the operator knows it
    age_limit: str = ""  # field of Limits; empty where the input has no age

    def __call__(self, inputs: Inputs, limits: Limits) -> Opinion:
        """Ask it; a vote that raises is a no."""
        try:
            return self.ask(inputs, limits)
        except Exception as error:  # whatever it is: what cannot be judged is not allowed
            return Opinion(False, told(error), failed=True)

    def age_limit_s(self, limits: Limits) -> float:
        """How old its input may be; 0 where that has no age."""
        limit_s: float = getattr(limits, self.age_limit) if self.age_limit else 0.0
        return limit_s


VOTERS: dict[str, Voter] = {
    "mode": Voter(votes_station.mode, "`station/mode`", "mode_age_max_s"),
    "pointing": Voter(votes_station.pointing, "`pointing/state`", "pointing_age_max_s"),
    "horizon": Voter(votes_sky.horizon, "`pointing/state`", "pointing_age_max_s"),
    "axis_limits": Voter(votes_station.axis_limits, "`pointing/state`", "pointing_age_max_s"),
    "sun": Voter(votes_sky.sun, "`pointing/state`", "pointing_age_max_s"),
    "moon": Voter(votes_sky.moon, "`pointing/state`", "pointing_age_max_s"),
    "interlock": Voter(votes_laser.interlock, "laser status", "laser_age_max_s"),
    "beam_board": Voter(votes_laser.beam_board, "`tracking/fine`", "board_age_max_s"),
    "read_back": Voter(votes_laser.read_back, "laser status", "laser_age_max_s"),
    "power": Voter(votes_laser.power, "laser status", "laser_age_max_s"),
    "key": Voter(votes_laser.key, "laser status", "laser_age_max_s"),
    "shutter": Voter(votes_laser.shutter, "shutter status", "shutter_age_max_s"),
    "divergence": Voter(votes_laser.divergence, "laser status", "laser_age_max_s"),
    "time": Voter(votes_station.time, "kernel", "time_age_max_s"),
    "ephemeris": Voter(votes_station.ephemeris, "`station/mode`, `pointing/state`", "mode_age_max_s"),
    "frames": Voter(votes_station.frames, "`tracking/coarse`", "frame_age_max_s"),
    "heartbeats": Voter(votes_station.heartbeats, "`service/heartbeat`", "heartbeat_age_max_s"),
    "lease": Voter(votes_station.lease, "`station/lease`", "lease_age_max_s"),
    "clearinghouse": Voter(votes_outside.clearinghouse, "the message, `pointing/state`", "pointing_age_max_s"),
    "aircraft": Voter(votes_outside.aircraft, "the feed", "traffic_age_max_s"),
    "real_or_emulated": Voter(votes_outside.real_or_emulated, "all of them"),
}


#: Who is asked on an enclosed bench at low power: everybody but the sky, and the station must rest.
ALIGNMENT_VOTERS: dict[str, Voter] = {
    "mode": Voter(votes_station.at_rest, "`station/mode`", "mode_age_max_s"),
    **{
        name: VOTERS[name]
        for name in (
            "interlock", "beam_board", "read_back", "power", "key", "shutter", "divergence", "time", "heartbeats",
            "lease", "real_or_emulated",
        )
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ballot:
    """All votes of one moment."""

    opinions: Mapping[str, Opinion]  # by name of the vote

    def votes(self, limits: Limits) -> list[Vote]:
        """As they are published."""
        return [
            Vote(name, o.ok, o.reason, o.age_s, o.simulated, VOTERS[name].age_limit_s(limits), o.changes_in_s)
            for name, o in self.opinions.items()
        ]

    def holds_s(self, limits: Limits) -> float:
        """How long every yes lasts if nothing new comes: until an input is too old, or what is foreseen is there."""
        left_s = [limits.mode_age_max_s]
        for name, opinion in self.opinions.items():
            if limit_s := VOTERS[name].age_limit_s(limits):
                left_s.append(limit_s - opinion.age_s)
            if opinion.changes_in_s is not None:
                left_s.append(opinion.changes_in_s)
        return max(0.0, min(left_s))

    def lost_s(self, limits: Limits) -> float | None:
        """For how long a no has been there to be seen: since its message came, or the last one grew too old."""
        ages = {name: o.age_s for name, o in self.opinions.items() if not o.ok and o.age_s >= 0.0}
        since_s = [
            age - limit if age > (limit := VOTERS[name].age_limit_s(limits)) else age for name, age in ages.items()
        ]
        return max(since_s, default=None)

    @property
    def orderly(self) -> bool:
        """True when every no is the station's or the schedule's own doing."""
        return all(o.ok or o.orderly for o in self.opinions.values())

    @property
    def unanimous(self) -> bool:
        """True when every vote is yes."""
        return all(o.ok for o in self.opinions.values())

    @property
    def failed(self) -> dict[str, str]:
        """The votes that raised, and what."""
        return {name: o.reason for name, o in self.opinions.items() if o.failed}

    @property
    def against(self) -> str:
        """The reasons of every no, for the operator."""
        return self.against_of(self.opinions)

    def against_of(self, names: Iterable[str]) -> str:
        """The reasons of every no among these; empty when none is."""
        said = ((name, self.opinions.get(name)) for name in names)
        return "; ".join(f"{name}: {o.reason}" for name, o in said if o is not None and not o.ok)


def ballot(inputs: Inputs, limits: Limits, alignment: bool = False) -> Ballot:
    """Ask everybody, or whom alignment asks; `limits` are then those of alignment."""
    voters = ALIGNMENT_VOTERS if alignment else VOTERS
    return Ballot({name: voter(inputs, limits) for name, voter in voters.items()})
