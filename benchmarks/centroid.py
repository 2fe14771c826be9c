"""Time of detection and centroid in a tracking region and over the sensor: `python benchmarks/centroid.py [--json]`.

Beside it, the time to render such a frame, which is what the emulated bench pays for it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

from controller.tracking.centroid import centroid, detect
from sim_hw.scene.frame import FrameRenderer, Sensor

EXPOSURE_S = 0.005
SPOT = (0.0, 0.0, 1e7)  # on the axis, 50 000 e in a frame


def microseconds(call: Callable[[], object], repeats: int, rounds: int = 7) -> float:
    """The best of some rounds: what the code costs when nobody disturbs it."""
    call()
    best = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        for _ in range(repeats):
            call()
        best = min(best, (time.perf_counter() - begin) / repeats)
    return best * 1e6


def main() -> None:
    sensor = Sensor()
    renderer = FrameRenderer(sensor, np.random.default_rng(1))
    results: dict[str, float] = {}
    for size, repeats in ((64, 500), (256, 50), (1024, 5)):
        corner = (1024 - size) // 2

        def render(corner: int = corner, size: int = size) -> np.ndarray:
            return renderer.render(corner, corner, size, size, EXPOSURE_S, [SPOT])

        image = render()
        results[f"render_{size}_us"] = microseconds(render, max(1, repeats // 10))
        results[f"centroid_{size}_us"] = microseconds(lambda image=image: centroid(image), repeats)
        results[f"detect_12_{size}_us"] = microseconds(lambda image=image: detect(image, 12), max(1, repeats // 5))
    if "--json" in sys.argv[1:]:
        print(json.dumps({name: round(value, 2) for name, value in results.items()}))
        return
    for name, value in results.items():
        print(f"{name:20s} {value:10.1f}")


if __name__ == "__main__":
    main()
