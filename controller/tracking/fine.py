"""Takes the fine loop from an unknown mirror to a closed loop with measured margins.

Each procedure is a generator that yields whenever its caller may turn to other work (the heartbeat above all: the board
latches after 250 ms without one) and returns its result. A service advances it once a cycle; `finish` runs one through.

    identify_mirrors   mode setpoint, no light needed      -> two MirrorModel
    poke_mirror        mode setpoint, beacon on the quad   -> Poke
    load_loop          designs and poke into the board; then set_mode("track")
    measure_loop       mode track, beacon on the quad      -> margins of both axes
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from controller.tracking.fine_design import LoopDesign
from controller.tracking.fine_mirror import MirrorModel, identify_mirror
from controller.tracking.fine_poke import Poke, QuadOptics, measure_poke
from controller.tracking.fine_response import Margins, SweepLostError, channel, margins, open_loop
from hal.traits import Capture, FineLoop

T = TypeVar("T")
Steps = Generator[None, None, T]

AXES = (0, 1)
RECORD_S = 0.4096  # 4096 ticks: the sweep, and rest before and after it
SWEEP_S = 0.35
SWEEP_TRIES = 3
REST_S = 0.01  # what is known to be rest at the end of a record, of 0.06
MIRROR_SWEEP_HZ = (30.0, 4700.0)
MIRROR_SWEEP_RAD = 20e-6  # the first mode makes 200 urad of it
LOOP_SWEEP_HZ = (30.0, 4500.0)
LOOP_SWEEPS_RAD = (3e-6, 6e-6, 12e-6)  # the weakest that stands out of the noise, so that a good link is hardly moved
LOOP_SWEEP_S = 0.95
LOOP_RECORD_S = 1.024
LOOP_BAND_HZ = (60.0, 4000.0)
POKE_HZ = 312.5  # whole cycles in every segment; the jitter has little left there
POKE_RAD = 20e-6  # a fifth of the quad's field, above the jitter's rms
POKE_RECORD_S = 0.2048
POKE_CHANNELS = ("injection", "quad_x", "quad_y", "mirror_x", "mirror_y")


def finish(steps: Steps[T], between: Callable[[], object]) -> T:
    """Run a procedure to its end, calling `between` each time it yields."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        between()


def identify_mirrors(board: FineLoop) -> Steps[tuple[MirrorModel, MirrorModel]]:
    """Sweep each axis and fit its modes. Raises DeviceError when an axis is not a mirror that we can work with."""
    models = []
    for axis, letter in zip(AXES, "xy", strict=True):
        for left in reversed(range(SWEEP_TRIES)):
            board.start_capture((f"command_{letter}", f"mirror_{letter}"), RECORD_S)
            board.inject(axis, MIRROR_SWEEP_HZ[0], MIRROR_SWEEP_RAD, SWEEP_S, MIRROR_SWEEP_HZ[1])
            sweep = yield from _await_capture(board)
            if not left or _is_whole(sweep):
                break
        models.append(identify_mirror(sweep, letter))
    return models[0], models[1]


def _is_whole(sweep: Capture) -> bool:
    """The command rests at the end: this machine did not stand still between capture and sweep, and cut it off."""
    command = sweep.samples[:, 0]
    return bool((command[-round(REST_S * sweep.rate_hz) :] == command[0]).all())


def poke_mirror(board: FineLoop, optics: QuadOptics) -> Steps[Poke]:
    """Drive each axis with a sine and look at the quad. Raises DeviceError for no light or a wrong sign."""
    captures = []
    for axis in AXES:
        board.inject(axis, POKE_HZ, POKE_RAD, POKE_RECORD_S + 0.2)
        yield  # the first periods are transient
        yield
        board.start_capture(POKE_CHANNELS, POKE_RECORD_S)
        captures.append((yield from _await_capture(board)))
    board.inject(AXES[-1], POKE_HZ, 0.0, 0.0)
    return measure_poke((captures[0], captures[1]), POKE_HZ, optics)


def load_loop(board: FineLoop, designs: tuple[LoopDesign, LoopDesign], poke: Poke) -> None:
    """Give the board both axes' filters, the matrix and the gain.

    The board has one gain; the axes' own gains go into the rows of the matrix.
    """
    board.set_filters(designs[0].sections, designs[1].sections)
    rows = poke.mirror_per_quad
    for axis, letter in zip(AXES, "xy", strict=True):
        scale = designs[axis].gain / designs[0].gain
        board.set_parameter(f"matrix_{letter}x", float(rows[axis, 0]) * scale)
        board.set_parameter(f"matrix_{letter}y", float(rows[axis, 1]) * scale)
    board.set_parameter("loop_gain", designs[0].gain)
    board.quad_scale_rad = poke.quad_scale_rad


def measure_loop(board: FineLoop) -> Steps[tuple[Margins, Margins]]:
    """Sweep each axis of the closed loop, harder until it shows. Raises SweepLostError when it does not even then."""
    found: list[Margins] = []
    for axis, letter in zip(AXES, "xy", strict=True):
        for amplitude_rad in LOOP_SWEEPS_RAD:
            try:
                found.append((yield from _measure_axis(board, axis, letter, amplitude_rad)))
                break
            except SweepLostError:
                if amplitude_rad == LOOP_SWEEPS_RAD[-1]:
                    raise
    return found[0], found[1]


def _measure_axis(board: FineLoop, axis: int, letter: str, amplitude_rad: float) -> Steps[Margins]:
    board.start_capture(("injection", f"target_{letter}"), LOOP_RECORD_S)
    board.inject(axis, LOOP_SWEEP_HZ[0], amplitude_rad, LOOP_SWEEP_S, LOOP_SWEEP_HZ[1], before_filters=True)
    sweep = yield from _await_capture(board)
    seen = open_loop(channel(sweep, "injection"), channel(sweep, f"target_{letter}"), sweep.rate_hz, LOOP_BAND_HZ)
    return margins(seen.frequency_hz, seen.value)


def _await_capture(board: FineLoop) -> Steps[Capture]:
    """Fetch piece by piece, one a turn."""
    while (capture := board.fetch_capture()) is None:
        yield
    return capture
