"""Let numba use the widest vector registers: SGP4 in lanes runs 1.6 times as fast with AVX-512 as with half of it."""

from __future__ import annotations

import sys


def prefer() -> None:
    """For this process, before numba is first used; afterwards it does nothing.

    LLVM takes half-width registers on processors that once slowed down for wide ones. What is compiled so is cached
    beside what is compiled without, and gives the same numbers.
    """
    if "numba" in sys.modules:
        return
    from llvmlite.binding import get_host_cpu_features
    from numba.core import config

    settings = vars(config)
    features = get_host_cpu_features()
    if features.get("avx512f") and not settings.get("CPU_FEATURES"):
        features["prefer-256-bit"] = False
        settings["CPU_FEATURES"] = features.flatten()
