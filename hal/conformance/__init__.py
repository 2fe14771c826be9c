"""One behavioural suite a trait: what every device of a kind must do, whoever made it and whatever carries its bytes.

Run by `boresight rig verify` on a bench's devices, and by CI on every emulator, replay and wire. The suites move at
`Terms.speed` of a device's limits and never let anything emit.
"""

from __future__ import annotations

from hal.conformance import camera, fine_loop, gimbal, laser, mirror, power_meter, shutter, stage
from hal.conformance.suite import Case, Deviation, Finding, NotHere, Report, Terms, Trial, compare, run_suite

SUITES: dict[str, tuple[Case, ...]] = {  # by the section of the rig file
    "gimbal": gimbal.CASES,
    "camera": camera.CASES,
    "beam_board": fine_loop.CASES,
    "laser": laser.CASES,
    "power_meter": power_meter.CASES,
    "shutter": shutter.CASES,
    "stage": stage.CASES,
    "mirror": mirror.CASES,
    "star_camera": camera.CASES,
}

__all__ = ["SUITES", "Case", "Deviation", "Finding", "NotHere", "Report", "Terms", "Trial", "compare", "run_suite"]
