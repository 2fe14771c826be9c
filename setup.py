"""Builds the beam board's firmware as a shared library; everything else is in pyproject.toml."""

import runpy
from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).parent
SOURCES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("core", "boards/host")
    for path in (ROOT / "firmware" / folder).glob("*.c")
)
HEADERS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "firmware").rglob("*.h"))
source_hash = runpy.run_path(str(ROOT / "sim_hw" / "devices" / "beamboard_source.py"))["source_hash"]

setup(
    ext_modules=[
        Extension(
            # No Python.h and no module: sim_hw.devices.beamboard opens it with dlopen.
            "sim_hw._beamboard",
            sources=SOURCES,
            depends=HEADERS,
            include_dirs=["firmware/core"],
            define_macros=[("BS_SOURCE_HASH", f'"{source_hash(ROOT / "firmware")}"')],
            # Fixed, whatever CFLAGS says last: host and Cortex-M agree bit for bit only without fused multiply-add.
            extra_compile_args=["-std=c11", "-O2", "-ffp-contract=off", "-fno-fast-math"],
            optional=True,  # without a compiler everything but the emulated board installs
        )
    ]
)
