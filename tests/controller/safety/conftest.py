"""A station in which every vote is yes, as bodies and as votes' inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import pytest

from controller.bus.envelope import Lease
from controller.bus.topics import (
    Body,
    CoarseState,
    FineState,
    Heartbeat,
    HeldLease,
    LeaseState,
    ModeState,
    PointingState,
)
from controller.geometry.bodies import Place
from controller.safety.inputs import Inputs, Reading, TimeQuality
from controller.safety.limits import Limits
from hal.traits import LaserStatus

UTC_NS = 1_760_000_000_000_000_000  # 2025-10-09
DEG = math.pi / 180
LEASE = Lease("laser-1", 1)


def changed(body: Body, **fields: object) -> Body:
    """A copy of a message with some fields changed."""
    return type(body)(**{name: fields.get(name, getattr(body, name)) for name in body.__struct_fields__})


@dataclass
class Good:
    """Bodies that every vote says yes to; a test spoils one."""

    limits: Limits = field(
        default_factory=lambda: Limits(
            laser_emulated=True,
            current_a=1.0,
            current_limit_a=1.2,
            power_cap_w=1.2,
            power_floor_w=0.1,
            elevation_mask_rad=20 * DEG,
            sun_cone_rad=30 * DEG,
            moon_cone_rad=2 * DEG,
            enclosed_bench=True,
        )
    )
    mode: ModeState = field(
        default_factory=lambda: ModeState("FINE", UTC_NS, "", "A", ephemeris_epoch_utc_ns=UTC_NS - 3600 * 10**9)
    )
    pointing: PointingState = field(
        default_factory=lambda: PointingState(
            t_utc_ns=UTC_NS,
            activity="track",
            azimuth_rad=1.0,
            elevation_rad=45 * DEG,
            azimuth_rate_rad_s=0.5 * DEG,
            elevation_rate_rad_s=0.1 * DEG,
            target_azimuth_rad=1.0,
            target_elevation_rad=45 * DEG,
            target_azimuth_rate_rad_s=0.5 * DEG,
            target_elevation_rate_rad_s=0.1 * DEG,
            range_m=8e5,
            deviation_rad=(1e-5, -1e-5),
            deviation_rate_rad_s=(0.0, 0.0),
            point_ahead_rad=(4e-5, 0.0),
            correction_rad=(0.0, 0.0),
            command_latency_s=0.075,
            settled=True,
            target="A",
        )
    )
    coarse: CoarseState = field(
        default_factory=lambda: CoarseState(UTC_NS, True, (0, 0), 1e4, 50.0, (0, 0), (1e-5, 1e-5), 0.01, 0)
    )
    fine: FineState = field(
        default_factory=lambda: FineState(
            UTC_NS, "track", False, False, (0, 0), (1e-6, 1e-6), 1.0, (0, 0), (0, 0), 0, 200, "closed"
        )
    )
    laser: LaserStatus = field(default_factory=lambda: LaserStatus(0, False, 0.0, 0.0, False, ""))
    beat: Heartbeat = field(default_factory=lambda: Heartbeat(UTC_NS, 10, 0))
    leases: LeaseState = field(
        default_factory=lambda: LeaseState(UTC_NS, 1, [HeldLease("laser", "operator", "laser-1", 1, 0, "arms")])
    )
    time: TimeQuality = field(default_factory=lambda: TimeQuality(True, 1e-4))
    sun: Place = field(default_factory=lambda: Place(-2.0, 30 * DEG))
    moon: Place = field(default_factory=lambda: Place(-1.0, 10 * DEG))

    def inputs(self, simulated: bool = True, realtime: bool = False) -> Inputs:
        """The votes' inputs, all of them 10 ms old."""

        def read(body: object) -> Reading:
            return Reading(body, 0.01, simulated)

        return Inputs(
            t_utc_ns=UTC_NS,
            realtime=realtime,
            mode=read(self.mode),
            pointing=read(self.pointing),
            coarse=read(self.coarse),
            fine=read(self.fine),
            laser=read(self.laser),
            time=read(self.time),
            sun=self.sun,
            moon=self.moon,
            heartbeats={name: read(self.beat) for name in self.limits.services},
            leases=read(self.leases),
            armed_by=LEASE,
        )

    changed = staticmethod(changed)

    def restore(self) -> None:
        """All is well again."""
        self.__dict__.update(Good().__dict__)

    def emitting(self) -> Inputs:
        """The same with the laser on for ten seconds."""
        self.fine = changed(self.fine, enabled=True)
        self.laser = LaserStatus(0, True, 1.0, 1.0, True, "")
        return replace(self.inputs(), enabled_s=10.0, commanded_s=9.9)


@pytest.fixture
def good() -> Good:
    return Good()
