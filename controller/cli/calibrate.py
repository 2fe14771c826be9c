"""`boresight calibrate`: a star calibration of the running station."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from controller.cli.connect import DEFAULT_RIG, DEFAULT_RUN_DIR, PreemptOption, RigOption, RunDirOption

if TYPE_CHECKING:
    from controller.bus.port import Port
    from controller.operate import Operator
    from hal.clock import Clock
    from hal.rig import Terminal


def calibrate(
    rig: RigOption = DEFAULT_RIG, run_dir: RunDirOption = DEFAULT_RUN_DIR, preempt: PreemptOption = False
) -> None:
    """Visit stars, fit the mount model, use it, and keep it in the run directory for the next start."""
    from controller.bus.holder import holding
    from controller.cli.connect import connect, operating, station_answers
    from controller.cli.factories import services_of
    from controller.cli.rig import resolve_in, station_clock
    from controller.errors import BoresightError
    from controller.operate import Operator
    from controller.services.signals import stop_signals
    from hal.rig import as_terminal

    described, clock = as_terminal(resolve_in(rig, run_dir)), station_clock(rig, run_dir)
    services = services_of(described)
    with connect(described) as client:
        mode = station_answers(client, described).body.mode
        if mode != "STOWED":
            raise BoresightError(f"the station is in {mode}; park it before a calibration: boresight park.")
    with stop_signals() as told, operating(described, clock, told) as port:
        Operator(clock, port, services).wait_for_services()
        with holding(clock, port, "station", "calibrates", preempt) as held:
            run_calibration(Operator(clock, held, services), described, clock, held, run_dir)


def run_calibration(operator: Operator, rig: Terminal, clock: Clock, port: Port, run_dir: Path) -> None:
    """Calibrate, tell, keep the model. Raises CalibrationError and what the fit raises."""
    from controller.calibrate import Calibration
    from controller.cli.factories import MODEL_FILE, STARS_FILE, observer_of
    from controller.pointing.star_log import save_stars

    def tell(what: str, share: float) -> None:
        typer.echo(f"calibrating {share:4.0%}  {what}", err=True)

    beacon_um = rig.optics.beacon_wavelength_nm * 1e-3
    found = operator.calibrate(Calibration(clock, port, observer_of(rig), beacon_um, tell))
    run_dir.mkdir(parents=True, exist_ok=True)
    found.fit.model.save(run_dir / MODEL_FILE, _name(rig), found.fit.sky_sigma_rad())
    save_stars(found.sightings, run_dir / STARS_FILE)
    if found.suspicion:
        typer.echo(f"boresight: {found.suspicion}", err=True)
    typer.echo(f"calibrated on {found.stars} stars: {run_dir / MODEL_FILE}", err=True)


def _name(rig: Any) -> str:
    return "emulated" if rig.emulated else str(rig.station.name)
