from __future__ import annotations

import os
import subprocess
import sys

COUNT = "import numpy, os; a = numpy.ones((400, 400)); a @ a; print(len(os.listdir('/proc/self/task')))"


def test_the_command_multiplies_matrices_without_a_second_thread() -> None:
    clean = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    program = f"import controller.cli; {COUNT}"
    done = subprocess.run([sys.executable, "-c", program], env=clean, capture_output=True, text=True, check=True)
    assert int(done.stdout) == 1
