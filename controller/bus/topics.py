"""Every topic of the bus in one table: name, struct, nominal rate, class, stale-after.

Structs are msgpack maps on the wire. SI units, in the names. Pairs are (cross-elevation, elevation) on the sky; where
the mount's axes are not those of azimuth and elevation they are across and along its second axis, as its instruments
turn with it: turned by `field_rotation_rad` against the sky.
`t_utc_ns` is the time the content is true for, not the time it was sent (the envelope has that).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

Pair = tuple[float, float]
ZERO: Pair = (0.0, 0.0)


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """Content of a message."""


class ModeState(Body, frozen=True):
    """Where the station's mode machine is, and why."""

    mode: str
    since_utc_ns: int
    reason: str
    target: str = ""
    pass_start_utc_ns: int = 0
    pass_end_utc_ns: int = 0
    ephemeris_epoch_utc_ns: int = 0  # of the target's elements; 0 is unknown, and a no for emission
    live: bool = False  # the target is a stream of states, whose age pointing tells


class PassOrder(Body, frozen=True):
    """The pass that the station follows, with the elements or path that it was told: what a recording is repeated with.

    `segments` are those of `pointing.track`.
    """

    t_utc_ns: int
    target: str
    line1: str  # empty, like line2, where the path came as segments
    line2: str
    start_utc_ns: int
    end_utc_ns: int
    source: str = ""  # the file that it is from, and its format, as whoever sent it told
    segments: list[dict[str, Any]] = []


class DeviceIdentities(Body, frozen=True):
    """What the devices of a service say of themselves: model, serial number, firmware, the beam board's dictionary."""

    t_utc_ns: int
    devices: dict[str, dict[str, Any]]


class StationEvent(Body, frozen=True):
    """Something an operator should read."""

    level: Literal["info", "warning", "error"]
    code: str
    message: str


class PointingState(Body, frozen=True):
    """The gimbal loop, once per cycle. `deviation` is encoder-through-mount-model minus target prediction."""

    t_utc_ns: int
    activity: str  # idle | slew | track | hold | fault | silent
    azimuth_rad: float
    elevation_rad: float
    azimuth_rate_rad_s: float
    elevation_rate_rad_s: float
    target_azimuth_rad: float
    target_elevation_rad: float
    target_azimuth_rate_rad_s: float
    target_elevation_rate_rad_s: float
    range_m: float
    deviation_rad: Pair
    deviation_rate_rad_s: Pair
    point_ahead_rad: Pair
    correction_rad: Pair
    command_latency_s: float
    settled: bool
    time_bias_s: float = 0.0  # what the operator added to the prediction
    track_offset_rad: Pair = ZERO  # likewise, onwards and to the right
    earth_age_days: float = 0.0  # since the Earth-orientation table was measured
    ut1_error_s: float = 0.0  # what tables of that age have been off by
    degraded: bool = False  # the table is so old that a narrow beam may miss
    way_ahead_rad: tuple[Pair, ...] = ()  # (azimuth, elevation) each second from now on, where it is not the target's
    state_utc_ns: int = 0  # of the newest state of a live target; else 0
    state_age_max_s: float = 0.0  # how old that may be
    target_sigma_rad: Pair = ZERO  # one sigma of where a live target is said to be; grows with that age
    # Of a mount whose axes are not azimuth and elevation: their angles and rates, and how far to the right of upwards
    # on the sky its second axis moves the telescope.
    axis_rad: Pair | None = None
    axis_rate_rad_s: Pair | None = None
    field_rotation_rad: float = 0.0
    target: str = ""  # what the station told it to follow; empty when somebody else did, or nobody

    @property
    def axes_rad(self) -> Pair:
        """Where the mount's own two axes stand."""
        return (self.azimuth_rad, self.elevation_rad) if self.axis_rad is None else self.axis_rad

    @property
    def axes_rate_rad_s(self) -> Pair:
        """How fast they turn."""
        rate = self.axis_rate_rad_s
        return (self.azimuth_rate_rad_s, self.elevation_rate_rad_s) if rate is None else rate


class StreamState(Body, frozen=True):
    """A live target as it is fed: its newest state, what was taken and refused, and why the last was refused."""

    t_utc_ns: int
    name: str
    frame: str
    fed_by: str  # empty before the first `pointing.feed`
    newest_utc_ns: int
    age_max_s: float
    position_m: tuple[float, float, float]
    velocity_m_s: tuple[float, float, float]
    sigma_rad: Pair
    taken: int
    refused: int
    reason: str


class CoarseState(Body, frozen=True):
    """The coarse loop, once per camera frame; error is target minus boresight as the camera sees it."""

    t_utc_ns: int
    detected: bool
    error_rad: Pair
    flux_e: float
    snr: float
    estimate_rad: Pair
    sigma_rad: Pair
    frame_age_s: float
    frames_dropped: int


class Correction(Body, frozen=True):
    """What the gimbal loop adds to the predicted direction: offset at `t_utc_ns`, and its rate."""

    t_utc_ns: int
    offset_rad: Pair
    rate_rad_s: Pair
    sigma_rad: Pair
    source: str  # none | scan | coarse | coast


class FineState(Body, frozen=True):
    """Beam board statistics since the previous message."""

    t_utc_ns: int
    board_mode: str
    enabled: bool
    latched: bool
    quad_mean_rad: Pair
    quad_rms_rad: Pair
    quad_sum: float
    mirror_mean_rad: Pair
    offload_rad: Pair
    saturated_ticks: int
    ticks: int
    phase: str  # idle | scan | poke | closed


class AcquisitionState(Body, frozen=True):
    """Progress of the scan."""

    t_utc_ns: int
    phase: str  # idle | scanning | found | failed
    elapsed_s: float
    predicted_mean_s: float
    predicted_success: float
    radius_sigma: float
    sweep: int


class Vote(Body, frozen=True):
    """One reason for or against emission."""

    name: str
    ok: bool
    reason: str
    age_s: float
    simulated: bool = False
    age_limit_s: float = 0.0  # how old its input may be; 0 where that has no age
    changes_in_s: float | None = None  # until it turns as things go now; None: not known


class SafetyState(Body, frozen=True):
    """All votes and what they came to."""

    t_utc_ns: int
    emission_allowed: bool
    armed: bool
    latched: bool
    locked_reason: str
    votes: list[Vote]


class TripRecord(Body, frozen=True):
    """Why emission was tripped, and all votes before and after. A cause that came while a trip stood has its number."""

    t_utc_ns: int
    number: int
    cause: str
    first_cause: str  # of this number; nothing that follows replaces it
    before: list[Vote]
    after: list[Vote]
    lost_utc_ns: int | None = None  # when its vote was lost: a message came, or one grew too old; None: by no vote


class EnableState(Body, frozen=True):
    """Heartbeat that the beam board's owner must see fresh to keep the enable line up."""

    t_utc_ns: int
    enable: bool


class LaserState(Body, frozen=True):
    """Laser read-back."""

    t_utc_ns: int
    output_on: bool
    current_a: float
    measured_power_w: float
    interlock_closed: bool
    tripped: str


class LinkState(Body, frozen=True):
    """Received optical power."""

    t_utc_ns: int
    received_power_w: float
    threshold_w: float
    above: bool


class Heartbeat(Body, frozen=True):
    """A service is alive at the application's level."""

    t_utc_ns: int
    cycles: int
    late_steps: int


class Waiting(Body, frozen=True):
    """A service is alive and waits for a device; meanwhile it sends no heartbeat, so that nobody relies on it."""

    t_utc_ns: int
    device: str


class ServiceProcess(msgspec.Struct, frozen=True):
    """A service's process as the supervisor and the kernel see it; zeros while there is none."""

    service: str
    state: str  # starting | running | ending | restarting | down
    pid: int
    restarts: int
    resident_bytes: int
    open_files: int
    threads: int
    growth_bytes_h: float  # of the resident memory; 0 while it is not known


class ProcessReport(Body, frozen=True):
    """Every process of the station, the supervisor's among them."""

    t_utc_ns: int
    processes: list[ServiceProcess]


class GapReport(Body, frozen=True):
    """Gaps a subscriber counted, by topic."""

    gaps: dict[str, int]


class HeldLease(msgspec.Struct, frozen=True):
    """A lease that somebody holds."""

    scope: str  # station, or a part of it: gimbal, camera, laser
    holder: str
    id: str
    gen: int
    expires_utc_ns: int
    reason: str


class LeaseState(Body, frozen=True):
    """Every lease that is held; `generation` is that of the latest grant."""

    t_utc_ns: int
    generation: int
    held: list[HeldLease]


class LeaseLost(Body, frozen=True):
    """A lease ended against its holder's will; `taken_by` is empty when it was not renewed in time."""

    scope: str
    holder: str
    id: str
    gen: int
    taken_by: str
    reason: str


class RefusalReport(Body, frozen=True):
    """What a service has refused since its start, by error code; CONNECTION counts those that never got in."""

    refused: dict[str, int]


class Truth(Body, frozen=True):
    """World truth of one moment; published by the bench alone, subscribed to by no service."""

    t_utc_ns: int
    target_azimuth_rad: float
    target_elevation_rad: float
    range_m: float
    coarse_error_rad: Pair
    total_error_rad: Pair
    fine_error_rad: Pair
    transmit_error_rad: Pair
    mirror_rad: Pair
    received_power_w: float
    beacon_on: bool
    emitting: bool
    illuminated: bool
    enable_line: bool = False  # of the beam board
    axis_command_rad_s: Pair = ZERO  # (azimuth, elevation): what the mount's motors are told
    axis_rate_rad_s: Pair = ZERO  # and what they do
    enable_changed_utc_ns: int | None = None  # when the enable line rose or fell last, to 0.1 ms


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table."""

    name: str
    body: type[Body]
    rate_hz: float
    kind: Literal["state", "event", "bulk"]
    stale_after_s: float


STATION_MODE = Topic("station/mode", ModeState, 10, "state", 0.5)
STATION_EVENT = Topic("station/event", StationEvent, 0, "event", 0)
STATION_PASS = Topic("station/pass", PassOrder, 0.02, "state", 120)
STATION_LEASE = Topic("station/lease", LeaseState, 2, "state", 2)
LEASE_LOST = Topic("station/lease_lost", LeaseLost, 0, "event", 0)
POINTING_STATE = Topic("pointing/state", PointingState, 10, "state", 0.5)
POINTING_STREAM = Topic("pointing/stream", StreamState, 2, "state", 2)
TRACKING_COARSE = Topic("tracking/coarse", CoarseState, 50, "state", 0.2)
TRACKING_CORRECTION = Topic("tracking/correction", Correction, 50, "state", 0.3)
TRACKING_FINE = Topic("tracking/fine", FineState, 50, "state", 0.1)
ACQUISITION_STATE = Topic("acquisition/state", AcquisitionState, 10, "state", 0.5)
SAFETY_STATE = Topic("safety/state", SafetyState, 20, "state", 0.25)
SAFETY_TRIP = Topic("safety/trip", TripRecord, 0, "event", 0)
SAFETY_ENABLE = Topic("safety/enable", EnableState, 50, "state", 0.08)
SAFETY_LASER = Topic("safety/laser", LaserState, 10, "state", 0.5)
LINK_STATE = Topic("link/state", LinkState, 10, "state", 0.5)
SERVICE_HEARTBEAT = Topic("service/heartbeat", Heartbeat, 10, "state", 0.5)
SERVICE_DEVICES = Topic("service/devices", DeviceIdentities, 0.02, "state", 120)
SERVICE_WAITING = Topic("service/waiting", Waiting, 2, "state", 2)
SERVICE_PROCESSES = Topic("service/processes", ProcessReport, 1, "state", 5)
BUS_GAPS = Topic("bus/gaps", GapReport, 1, "state", 5)
BUS_REFUSALS = Topic("bus/refusals", RefusalReport, 0, "state", 5)
SIM_TRUTH = Topic("sim/truth/line_of_sight", Truth, 20, "state", 0.5)

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        STATION_MODE,
        STATION_EVENT,
        STATION_PASS,
        STATION_LEASE,
        LEASE_LOST,
        POINTING_STATE,
        POINTING_STREAM,
        TRACKING_COARSE,
        TRACKING_CORRECTION,
        TRACKING_FINE,
        ACQUISITION_STATE,
        SAFETY_STATE,
        SAFETY_TRIP,
        SAFETY_ENABLE,
        SAFETY_LASER,
        LINK_STATE,
        SERVICE_HEARTBEAT,
        SERVICE_DEVICES,
        SERVICE_WAITING,
        SERVICE_PROCESSES,
        BUS_GAPS,
        BUS_REFUSALS,
        SIM_TRUTH,
    )
}
