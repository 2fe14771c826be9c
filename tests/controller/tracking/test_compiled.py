from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from numba.core.dispatcher import Dispatcher
from controller.tracking import centroid, compiled, kalman
compiled.load()
for module in (centroid, kalman):
    for name, function in vars(module).items():
        if isinstance(function, Dispatcher) and not function.signatures and not name.startswith("_"):
            print(module.__name__, name)
for name in ("_brightest", "_several"):
    if not getattr(centroid, name).signatures:
        print(name)
"""


def test_after_loading_nothing_of_tracking_is_left_to_compile() -> None:
    left = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=100)
    assert left.stdout == ""
