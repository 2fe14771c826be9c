"""`boresight calibrate`: a calibration of the running station's mount, on stars or by plates of a star camera."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.connect import DEFAULT_RIG, DEFAULT_RUN_DIR, PreemptOption, RigOption, RunDirOption

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controller.align import Aligned
    from controller.bus.port import Port
    from controller.operate import Operator
    from controller.pointing.mount_fit import Fit
    from controller.pointing.observation import Observation
    from hal.clock import Clock
    from hal.rig import Terminal

ABOVE_MASK_DEG = 10.0  # room for a mount that leans
LOWEST_DEG, HIGHEST_DEG = 30.0, 60.0  # of the lowest ring of fields


def calibrate(
    rig: RigOption = DEFAULT_RIG,
    run_dir: RunDirOption = DEFAULT_RUN_DIR,
    plates: Annotated[
        bool, typer.Option("--plates", help="Align by frames of the star camera, wherever the mount looks now.")
    ] = False,
    preempt: PreemptOption = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Visit stars, fit the mount model, use it, and keep it in the run directory for the next start.

    Stars are looked for within half a degree of where they should be. A mount that was put down anywhere is aligned
    with --plates: a frame of the star camera is recognised without knowing where it looked (needs the extra plates).
    """
    from controller.bus.holder import holding
    from controller.cli.connect import connect, operating, station_answers
    from controller.cli.factories import services_of
    from controller.cli.rig import resolve_in, station_clock
    from controller.errors import BoresightError
    from controller.operate import Operator
    from controller.services.signals import stop_signals
    from hal.rig import as_terminal

    described, clock = as_terminal(resolve_in(rig, run_dir)), station_clock(rig, run_dir)
    if plates and described.star_camera is None:
        raise BoresightError(f"{rig}: it has no [star_camera]; write one (docs/reference.md), or leave --plates away.")
    services = services_of(described)
    with connect(described) as client:
        mode = station_answers(client, described).body.mode
        if mode != "STOWED":
            raise BoresightError(f"the station is in {mode}; park it before a calibration: boresight park.")
    with stop_signals() as told, operating(described, clock, told) as port:
        Operator(clock, port, services).wait_for_services()
        with holding(clock, port, "station", "calibrates", preempt) as held:
            if plates:
                answer = align_by_plates(described, clock, held, run_dir, tell)
            else:
                answer = run_calibration(Operator(clock, held, services), described, clock, held, run_dir)
    if json_output:
        typer.echo(json.dumps(answer, indent=2))


def tell(what: str, share: float) -> None:
    """Say how far it is, on stderr."""
    typer.echo(f"calibrating {share:4.0%}  {what}", err=True)


def run_calibration(operator: Operator, rig: Terminal, clock: Clock, port: Port, run_dir: Path) -> dict[str, Any]:
    """Calibrate, tell, keep the model; the fit as plain data. Raises CalibrationError and what the fit raises."""
    from controller.calibrate import Calibration
    from controller.cli.factories import observer_of
    from controller.pointing.ground import Ground
    from controller.pointing.mount_frame import MountFrame

    beacon_um = rig.optics.beacon_wavelength_nm * 1e-3
    cone_rad = math.radians(rig.safety.sun_cone_deg)
    calibration = Calibration(
        clock, port, observer_of(rig), beacon_um, tell, MountFrame.of(rig), cone_rad, Ground.of(rig)
    )
    found = operator.calibrate(calibration)
    return _keep(found.fit, found.sightings, found.suspicion, f"{found.stars} stars", rig, run_dir)


def align_by_plates(
    rig: Terminal, clock: Clock, port: Port, run_dir: Path, tell: Callable[[str, float], None]
) -> dict[str, Any]:
    """Align, tell, keep the model and how the star camera sits on the tube; what was found as plain data.

    Raises CalibrationError, what the fit raises, and what the star camera raises.
    """
    from controller.align import Alignment, StarCamera
    from controller.cli.factories import STAR_CAMERA_FILE, observer_of
    from controller.errors import BoresightError
    from controller.pointing.calibration import spread_directions
    from controller.pointing.ground import Ground
    from controller.pointing.mount_frame import MountFrame
    from controller.pointing.plate_camera import CameraOnTube
    from hal.rig import open_device

    section, file = rig.star_camera, run_dir / STAR_CAMERA_FILE
    if section is None:
        raise BoresightError(f"{rig.path}: it has no [star_camera].")
    known = CameraOnTube.load(file) if file.exists() else None
    lowest_deg = min(HIGHEST_DEG, max(LOWEST_DEG, rig.station.elevation_mask_deg + ABOVE_MASK_DEG))
    camera = open_device(rig, "star_camera", clock)
    try:
        stars = StarCamera(camera, section.exposure_s, section.field_deg, section.wavelength_nm * 1e-3)
        beacon_um = rig.optics.beacon_wavelength_nm * 1e-3
        frame, ground = MountFrame.of(rig), Ground.of(rig)
        tour = [p for p in spread_directions(math.radians(lowest_deg), frame) if not ground.too_low(*p)]
        alignment = Alignment(
            clock, port, observer_of(rig), stars, beacon_um, tour, known=known, tell=tell, frame=frame, ground=ground
        )
        found = alignment.run()
    finally:
        camera.close()
    answer = _keep(found.fit, found.sightings, found.suspicion, f"{len(found.sightings)} plates", rig, run_dir)
    if found.bore_known:
        found.camera.save(file, found.bore)
    typer.echo(f"the telescope in the star camera's frame: {found.bore}", err=True)
    return answer | _plates(found)


def _keep(
    fit: Fit, sightings: Sequence[Observation], suspicion: str, on: str, rig: Terminal, run_dir: Path
) -> dict[str, Any]:
    from controller.cli.factories import MODEL_FILE, STARS_FILE
    from controller.cli.mount import report
    from controller.pointing.star_log import save_stars

    run_dir.mkdir(parents=True, exist_ok=True)
    name = "emulated" if rig.emulated else rig.station.name
    fit.model.save(run_dir / MODEL_FILE, name, fit.sky_sigma_rad(), simulated=bool(rig.emulated))
    save_stars(sightings, run_dir / STARS_FILE)
    if suspicion:
        typer.echo(f"boresight: {suspicion}", err=True)
    typer.echo(f"calibrated on {on}: {run_dir / MODEL_FILE}", err=True)
    return report(sightings, fit) | {"suspicion": suspicion or None, "model": str(run_dir / MODEL_FILE)}


def _plates(found: Aligned) -> dict[str, Any]:
    from controller.cli.plate import described

    camera = found.camera
    return {
        "star_camera": {
            "boresight_px": [round(v, 3) for v in camera.boresight_px],
            "boresight_known": found.bore_known,
            "how": found.bore,
            "roll_deg": round(math.degrees(camera.roll_rad), 4),
            "field_deg": round(math.degrees(camera.field_rad), 4),
            "distortion": round(camera.distortion, 6),
        },
        "plates": [
            {
                "name": look.name,
                "t_utc_ns": look.t_utc_ns,
                "approach": list(look.approach),
                "encoder_deg": [round(math.degrees(angle), 5) for angle in look.encoder],
                "refused": look.refusal or None,
                "plate": described(look.plate) if look.plate is not None else None,
            }
            for look in found.looks
        ],
    }
