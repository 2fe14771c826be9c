"""`boresight rig poke`: the steering mirror's resonances, and the interaction matrix between it and the quad cell."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from controller.cli.connect import DEFAULT_RIG, DEFAULT_RUN_DIR, RigOption, RunDirOption
from controller.cli.rig import app, resolve_one, station_clock
from hal.errors import DeviceError

if TYPE_CHECKING:
    from controller.tracking.fine_mirror import MirrorModel
    from controller.tracking.fine_poke import Poke
    from hal.traits import FineLoop

T = TypeVar("T")

LATCHED = 4  # the board's error after its watchdog
TRIES = 4
TURN_NS = 18_000_000  # as the tracking service: a heartbeat well inside the watchdog's 250 ms


@app.command()
def poke(
    rig: RigOption = DEFAULT_RIG,
    run_dir: RunDirOption = DEFAULT_RUN_DIR,
    dark: Annotated[bool, typer.Option("--dark", help="Resonances only: no light is needed.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Drive each mirror axis a little and see what moves: its position sensor, then the light on the quad cell.

    The mirror moves by some 20 urad (200 urad at a resonance); the enable line stays down. Wrong signs, swapped axes
    and a wrong gain are refused with what to check, as before every pass.
    """
    from controller.tracking.fine import finish, identify_mirrors, poke_mirror
    from controller.tracking.settings import TrackingSettings
    from hal.rig import as_terminal, open_device

    described, clock = as_terminal(resolve_one(rig, "beam_board", run_dir)), station_clock(rig, run_dir)
    board = open_device(described, "beam_board", clock)

    def beat() -> None:
        board.heartbeat(False)
        clock.sleep_until(clock.now_ns() + TURN_NS)

    told: dict[str, Any] = {"simulated": "beam_board" in described.emulated}
    try:
        told["mirror"] = [_mirror(model) for model in _patiently(board, lambda: finish(identify_mirrors(board), beat))]
        if not json_output:
            _show_mirror(told["mirror"])
        if not dark:
            try:
                optics = TrackingSettings.from_rig(described).optics
                told["poke"] = _matrix(_patiently(board, lambda: finish(poke_mirror(board, optics), beat)))
            except DeviceError:
                if json_output:
                    typer.echo(json.dumps(told, indent=2))
                raise
            if not json_output:
                _show_matrix(told["poke"])
    finally:
        board.close()
    if json_output:
        typer.echo(json.dumps(told, indent=2))


def _patiently(board: FineLoop, work: Callable[[], T]) -> T:
    """Do it in set-point mode, from the start again when this machine was too slow for the board's watchdog."""
    for left in reversed(range(TRIES)):
        board.reset()
        board.heartbeat(False)
        try:
            board.set_mode("setpoint")
            return work()
        except DeviceError as error:
            if error.code != LATCHED or not left:
                raise
    raise RuntimeError("the last try returns or raises")


def _mirror(model: MirrorModel) -> dict[str, Any]:
    return {
        "modes": [{"frequency_hz": f, "damping": damping} for f, damping, _ in model.modes()],
        "misfit": float(model.misfit),
    }


def _matrix(found: Poke) -> dict[str, Any]:
    import math

    import numpy as np

    sky = found.mirror_to_sky
    rotation_rad = math.atan2(sky[1, 0] - sky[0, 1], sky[0, 0] + sky[1, 1])
    return {
        "quad_per_mirror_per_rad": found.quad_per_mirror.tolist(),
        "mirror_to_sky": sky.tolist(),
        "rotation_deg": math.degrees(rotation_rad),
        "gain": math.sqrt(float(np.linalg.det(sky))),
        "coherence": list(found.coherence),
    }


def _show_mirror(axes: list[dict[str, Any]]) -> None:
    for name, axis in zip("xy", axes, strict=True):
        modes = ", ".join(f"{mode['frequency_hz']:.0f} Hz (damping {mode['damping']:.3f})" for mode in axis["modes"])
        typer.echo(f"mirror {name}: resonances {modes}; {axis['misfit']:.1%} of its response unexplained")


def _show_matrix(found: dict[str, Any]) -> None:
    (a, b), (c, d) = found["mirror_to_sky"]
    typer.echo(
        f"interaction matrix, line of sight on the sky per mirror angle:\n  {a:+.4f} {b:+.4f}\n  {c:+.4f} {d:+.4f}\n"
        f"rotation {found['rotation_deg']:+.2f} deg, gain {found['gain']:.3f}, "
        f"coherence {found['coherence'][0]:.3f} and {found['coherence'][1]:.3f}"
    )
