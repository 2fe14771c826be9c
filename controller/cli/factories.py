"""How each service of a station is made from the rig: `(clock, port, rig, run_dir) -> Service`, the same everywhere.

Called on the service's own thread (lockstep) or in its own process (real time), since opening a device takes time.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

from controller.bus.port import Port
from controller.cli.connect import service_security, table_of
from controller.freeze import as_metadata, frozen
from controller.geometry.bodies import Place, sun_and_moon
from controller.geometry.earth import EarthOrientation, load_earth_orientation
from controller.geometry.frames import Site
from controller.geometry.horizon import horizon_at
from controller.geometry.stars import Star, observed
from controller.link.service import LinkService
from controller.pointing.ground import Ground
from controller.pointing.keepout import KeepOut
from controller.pointing.mount import MountModel, saved_sigma_rad
from controller.pointing.mount_frame import MountFrame
from controller.pointing.offsets import OffsetBook
from controller.pointing.prediction import Observer
from controller.pointing.service import PointingService
from controller.pointing.targets import Fixed
from controller.pointing.wrap_memory import WrapMemory
from controller.record import Rotation
from controller.record_service import RecorderService
from controller.safety.clearance.gates import Expected
from controller.safety.clearance.live import Clearance
from controller.safety.clearance.message import Celestial
from controller.safety.limits import Limits
from controller.safety.service import SafetyService
from controller.safety.timesync import bench_time, kernel_time
from controller.safety.traffic.live import Rules, Traffic
from controller.safety.traffic.tracks import Uncertainty
from controller.safety.trips import TripLog
from controller.services.service import Service
from controller.station_service import StationService
from hal.aircraft import open_aircraft_feed
from hal.clock import NS, Clock
from hal.guarded import open_gimbal
from hal.rig import CLEARANCE, HORIZON, Rig, Terminal, emission_lock, open_device

SERVICES = ("safety", "station", "pointing", "tracking", "link")  # of a terminal
OF_AN_RF_STATION = ("station", "pointing")
REALTIME = ("recorder", *SERVICES)  # in the order of starting: whoever ends last has recorded everything
# SCHED_FIFO: what stops something comes first. The supervisor sees deaths; an emulated bench is above all.
PRIORITIES = {
    "supervisor": 55,
    "safety": 50,
    "pointing": 45,
    "tracking": 45,
    "station": 40,
    "link": 30,
    "recorder": 20,
}
MODEL_FILE = "mount.toml"  # in the run directory: the last calibration
WRAP_FILE = "wrap.json"  # how far azimuth is wound up
OFFSETS_FILE = "offsets.json"  # what operators added to predictions
STAR_CAMERA_FILE = "star_camera.toml"  # which of its pixels the telescope looks along
STARS_FILE = "stars.csv"  # the sightings that it was fitted to
MOUNT_ITSELF_RAD = 20.6e-6  # one axis: worm 18, wind 10
UNCALIBRATED_RAD = 30e-6  # the same, and what a calibration on twelve stars usually leaves
ROTATOR_LINE_BYTES = 100  # more than any call to a rotator puts on its line; 600 baud take 1.7 s for them
TRIPS_FILE = "trips.jsonl"  # what tripped emission, across the deaths of whoever wrote it
PLAN_FILE = "pass.json"  # the pass under way, for a station that is cut off in it


def services_of(rig: Rig) -> tuple[str, ...]:
    """The services that a station with this rig consists of; the recorder comes in real time."""
    return SERVICES if isinstance(rig, Terminal) else OF_AN_RF_STATION


def factories(rig: Rig) -> dict[str, str]:
    """Service name -> "module:function", in the order of starting in real time."""
    return {name: f"{__name__}:{name}" for name in REALTIME if name in ("recorder", *services_of(rig))}


def site_of(rig: Rig) -> Site:
    """Where the rig stands."""
    s = rig.station
    return Site(
        s.latitude_deg, s.longitude_deg, s.height_m, s.pressure_hpa, s.temperature_c, s.relative_humidity, s.name
    )


def observer_of(rig: Rig) -> Observer:
    """The site with Earth orientation and the wavelengths of both legs; an antenna's air is bent as for light."""
    if not isinstance(rig, Terminal):
        return Observer(site_of(rig), load_earth_orientation())
    optics = rig.optics
    receive_um, transmit_um = optics.receive_wavelength_nm * 1e-3, optics.transmit_wavelength_nm * 1e-3
    return Observer(site_of(rig), load_earth_orientation(), receive_um, transmit_um)


def cones_of(rig: Rig) -> KeepOut:
    """Around Sun and Moon."""
    return KeepOut(math.radians(rig.safety.sun_cone_deg), math.radians(rig.safety.moon_cone_deg))


def slow_line_s(rig: Rig) -> float:
    """How much longer than half a second station and pointing may wait for each other's word, which the line delays.

    A terminal's gimbal has a line that is fast enough; its beam ends by others' votes.
    """
    return 0.0 if isinstance(rig, Terminal) else 10 * ROTATOR_LINE_BYTES / rig.gimbal.baud


def station(clock: Clock, port: Port, rig: Rig, run_dir: Path) -> Service:
    """The mode machine; the pass under way is remembered in the run directory."""
    mask_deg, memory = rig.station.elevation_mask_deg, run_dir / PLAN_FILE
    if isinstance(rig, Terminal):
        return StationService(clock, port, mask_deg, rig.optics.quad_half_field_urad * 1e-6, memory)
    return StationService(clock, port, mask_deg, None, memory, slow_line_s(rig))


def pointing(clock: Clock, port: Port, rig: Rig, run_dir: Path) -> Service:
    """The gimbal loop, with the last calibration when there is one."""
    park = Fixed(math.radians(rig.gimbal.park_azimuth_deg), math.radians(rig.gimbal.park_elevation_deg), unwound=True)
    file = run_dir / MODEL_FILE
    frame = MountFrame.of(rig)
    real = "gimbal" not in rig.emulated
    model = MountModel.load(file, frame, real=real) if file.exists() else MountModel(frame=frame)
    ground = Ground.of(rig)
    gimbal = partial(open_gimbal, rig, clock)
    wrap = WrapMemory(run_dir / WRAP_FILE, frame.axis_names[0])
    offsets = OffsetBook(run_dir / OFFSETS_FILE)
    slow_s, ends_rad = slow_line_s(rig), rig.gimbal.elevation_rad
    return PointingService(
        clock, port, gimbal, observer_of(rig), park, model, cones_of(rig), wrap, offsets, slow_s, ground, ends_rad
    )


def recorder(clock: Clock, port: Port, rig: Rig, run_dir: Path) -> Service:
    """Everything that is said, in real time; in lockstep the flight records by itself."""
    metadata = as_metadata(frozen(rig, [run_dir / MODEL_FILE, *rig.companions.values()]))
    limits = rig.recording
    rotation = Rotation(round(limits.file_max_mb * 1e6), round(limits.file_max_min * 60 * NS))
    return RecorderService(
        clock, port, table_of(rig), run_dir, metadata, rotation=rotation, security=service_security(rig)
    )


def link(clock: Clock, port: Port, rig: Terminal, run_dir: Path) -> Service:
    """The power meter."""
    meter = open_device(rig, "power_meter", clock)
    wavelength_m = rig.power_meter.wavelength_nm * 1e-9
    power_max_w = rig.power_meter.power_max_w or math.inf
    return LinkService(clock, port, meter, wavelength_m, rig.link.received_power_threshold_w, power_max_w)


def clearance_of(rig: Terminal, site: Site, earth: EarthOrientation) -> Clearance | None:
    """The clearinghouse's message that the rig names; where a beam among the stars points is seen as it leaves."""
    path, section = rig.companions.get(CLEARANCE), rig.clearinghouse
    if path is None:
        return None
    transmit_um = rig.optics.transmit_wavelength_nm * 1e-3

    def place_of(celestial: Celestial, t_utc_ns: int) -> Place:
        star = Star("", celestial.right_ascension_deg, celestial.declination_deg, 0.0, 0.0, 0.0)
        azimuth, elevation = observed([star], t_utc_ns, site, earth, transmit_um)
        return Place(float(azimuth[0]), float(elevation[0]))

    expected = Expected(section.mission_id, section.operator, site)
    cone_rad = math.radians(section.cone_half_angle_deg)
    return Clearance(path, expected, place_of, cone_rad, round(section.pad_s * NS))


def traffic_of(rig: Terminal, clock: Clock, site: Site) -> Traffic | None:
    """The aircraft feed that the rig names; none in simulated time, in which nothing real is heard."""
    section, resource = rig.aircraft, rig.aircraft.resource
    if resource is None or not clock.realtime:
        return None
    uncertainty = Uncertainty(section.position_uncertainty_m, section.altitude_uncertainty_m)
    rules = Rules(math.radians(section.cone_deg), uncertainty, section.ignore_without_position)
    return Traffic(lambda: open_aircraft_feed(resource, clock), site, rules)


def safety(clock: Clock, port: Port, rig: Terminal, run_dir: Path) -> Service:
    """The votes and the laser. UTC of a bench is its own; UTC of a station is what the kernel says of it."""
    site, earth = site_of(rig), load_earth_orientation()
    horizon, problems = horizon_at(rig.companions.get(HORIZON))
    bench = not clock.realtime or "laser" in rig.emulated
    return SafetyService(
        clock,
        port,
        open_device(rig, "laser", clock),
        Limits.from_rig(rig, "laser" in rig.emulated, horizon),
        lambda t_utc_ns: sun_and_moon(t_utc_ns, site, earth),
        bench_time if bench else kernel_time,
        time_simulated=bench,
        locks=(*emission_lock(rig, clock.realtime), *problems),
        clearance=clearance_of(rig, site, earth),
        traffic=traffic_of(rig, clock, site),
        trips=TripLog(run_dir / TRIPS_FILE),
        shutter=partial(open_device, rig, "shutter", clock) if rig.shutter is not None else None,
    )


def tracking(clock: Clock, port: Port, rig: Terminal, run_dir: Path) -> Service:
    """Camera, beam board and the loops between them. What is compiled is loaded by the one process that needs it."""
    from controller.acquisition.planner import Planner
    from controller.tracking import compiled
    from controller.tracking.frames import Correction
    from controller.tracking.service import TrackingService
    from controller.tracking.settings import TrackingSettings

    compiled.load()
    acquisition, optics = rig.acquisition, rig.optics
    file = run_dir / MODEL_FILE
    calibration_rad = saved_sigma_rad(file) if file.exists() else None
    mount_rad = UNCALIBRATED_RAD if calibration_rad is None else math.hypot(MOUNT_ITSELF_RAD, calibration_rad)
    planner = Planner(
        along_track_m=acquisition.ephemeris_along_track_m,
        cross_track_m=acquisition.ephemeris_cross_track_m,
        capture_rad=optics.transmit_divergence_urad / 2 * 1e-6,
        frame_s=acquisition.dwell_s,
        response_s=acquisition.response_s,
        success=acquisition.success_probability,
        mirror_range_rad=optics.mirror_range_urad * 1e-6,
        mount_rad=mount_rad,
    )
    return TrackingService(
        clock,
        port,
        lambda: open_device(rig, "camera", clock),
        lambda: open_device(rig, "beam_board", clock),
        planner,
        TrackingSettings.from_rig(rig),
        correction=Correction.load(run_dir),
    )
