"""What geometry and pointing cost: evaluate, fit, loop turn, and passes at constellation scale against other tools.

`python -m benchmarks.pointing [--json] [--page]` (docs/benchmarks-pointing.md); see `benchmarks.constellation` for the
data and the peers it wants.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from controller.bus.topics import Correction
from controller.geometry.earth import load_earth_orientation
from controller.geometry.frames import Site
from controller.pointing import wide_vectors
from controller.pointing.elements import built_in_elements, find
from controller.pointing.loop import GimbalLoop
from controller.pointing.mount import MountModel
from controller.pointing.passes import DAY_NS, find_passes
from controller.pointing.plan import AxisLimits, choose
from controller.pointing.prediction import Observer, predict
from hal.traits import AxisPosition, GimbalCapabilities

NS = 1_000_000_000
MASK = math.radians(20)


def microseconds(call: Callable[[], object], repeats: int) -> float:
    """Of this process's CPU: the best of ten runs, since the machine is shared."""
    runs = []
    for _ in range(10):
        begin = time.process_time_ns()
        for _ in range(repeats):
            call()
        runs.append((time.process_time_ns() - begin) / repeats / 1000)
    return min(runs)


def command(tle: Path) -> dict[str, float]:
    """`boresight passes` over a whole catalogue and a day, from the shell: best of five, start-up included."""
    words = [sys.executable, "-m", "controller.cli", "passes", "--tle", str(tle), "--json"]
    elapsed_s, cpu_s = [], []
    for _ in range(5):
        begin, before = time.perf_counter(), os.times()
        subprocess.run(words, check=True, capture_output=True)
        elapsed_s.append(time.perf_counter() - begin)
        after = os.times()
        cpu_s.append(after.children_user + after.children_system - before.children_user - before.children_system)
    objects = len(tle.read_text(encoding="utf-8").splitlines()) // 3
    return {"objects": objects, "elapsed_s": min(elapsed_s), "cpu_s": min(cpu_s)}


def main() -> None:
    wide_vectors.prefer()  # as `boresight passes` does, before numba is loaded
    from benchmarks import constellation
    from benchmarks.pointing_page import write_page

    site = Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3, "ogs")
    observer = Observer(site, load_earth_orientation())
    limits = AxisLimits(math.radians(3), math.radians(2))
    one = find(built_in_elements(), "STARLINK-1048")
    highest = max(
        find_passes(one, site, observer.earth, one.epoch_utc_ns, one.epoch_utc_ns + DAY_NS, MASK),
        key=lambda p: p.elevation_max_rad,
    )
    path = predict(one, observer, highest.rise_utc_ns, highest.set_utc_ns)
    top = highest.culmination_utc_ns
    model = MountModel(IA=1e-3, IE=1e-3, CA=1e-4, NPAE=1e-4, AN=1e-4, AW=1e-4, BA=75e-6, BE=75e-6)
    loop = GimbalLoop(GimbalCapabilities(0.05, 0.035, 4e-7, 1.2e-6, 0.075, True), model)
    loop.follow(path)
    clock = {"ns": top}

    def turn() -> None:
        clock["ns"] += NS // 11
        now = clock["ns"]
        look = path.receive(now)
        sample = AxisPosition(now - NS // 30, look.azimuth_rad, look.elevation_rad)
        correction = Correction(now, (1e-4, 1e-4), (0.0, 0.0), (0.0, 0.0), "coarse")
        rates, _ = loop.step(now, 0, sample, correction, 0.01)
        loop.sent(*rates, now, now, now + NS // 20)

    day = (one.epoch_utc_ns, one.epoch_utc_ns + DAY_NS)
    result = {
        "trajectory_evaluation_us": microseconds(lambda: path.receive(top), 5000),
        "trajectory_fit_us": microseconds(lambda: predict(one, observer, highest.rise_utc_ns, highest.set_utc_ns), 10),
        "mount_model_us": microseconds(lambda: model.encoder(1.0, 0.8, (1.0, 1.0)), 5000),
        "loop_turn_us": microseconds(turn, 500),
        "passes_of_a_day_us": microseconds(lambda: find_passes(one, site, observer.earth, *day, MASK), 3),
        "choice_among_built_in_s": microseconds(lambda: choose(built_in_elements(), observer, limits, MASK), 1) / 1e6,
    }
    shell = command(constellation.data() / "tle" / "active_20251003.tle")
    many = constellation.measure()
    if "--page" in sys.argv:
        write_page(result, shell, many)
    if "--json" in sys.argv:
        print(json.dumps({**result, "passes_command": shell, "constellation": many}))
        return
    for name, value in result.items():
        print(f"{name:28} {value:12.3f}")
    for name, value in {"passes_command": shell, **many}.items():
        print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
