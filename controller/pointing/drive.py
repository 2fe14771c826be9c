"""Which loop a gimbal gets, and how what the loop wants is said to it: by the best that the gimbal takes."""

from __future__ import annotations

from typing import cast

from controller.bus.topics import Pair
from controller.pointing.ground import OPEN, Ground
from controller.pointing.loop import GimbalLoop
from controller.pointing.mount import MountModel
from controller.pointing.steps import StepLoop
from hal.clock import Clock
from hal.errors import HalError
from hal.traits import Gimbal, GimbalCapabilities, PositionGimbal, RateGimbal


def loop_for(capabilities: GimbalCapabilities, model: MountModel | None = None, ground: Ground = OPEN) -> GimbalLoop:
    """The loop that makes the most of a gimbal."""
    loop = GimbalLoop if capabilities.best == "rate" else StepLoop
    return loop(capabilities, model, ground=ground)


def send(gimbal: Gimbal, loop: GimbalLoop, command: Pair, step_ns: int, clock: Clock) -> bool:
    """Say what `loop.step` of `step_ns` gave; False when there was nothing to say. Raises HalError."""
    if isinstance(loop, StepLoop) and loop.target is None:
        gimbal.stop()
        loop.stopped(clock.now_ns())
        return True
    if isinstance(loop, StepLoop) and not loop.due:
        return False
    begin_ns = clock.now_ns()
    try:
        if isinstance(loop, StepLoop):
            cast("PositionGimbal", gimbal).go_to(*command)
        else:
            cast("RateGimbal", gimbal).set_rate(*command)
    except HalError:
        loop.doubt()
        raise
    loop.sent(*command, step_ns, begin_ns, clock.now_ns())
    return True
