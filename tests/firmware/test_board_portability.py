"""The core stays portable: strict C11, nothing from a system, no fused arithmetic."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = ROOT / "firmware" / "core"
# What any freestanding compiler may call by itself (gcc manual, "Language Standards").
FREESTANDING = {"memcpy", "memmove", "memset", "memcmp"}


def test_the_core_compiles_strictly_and_needs_no_heap_no_libm_and_no_io(tmp_path: Path) -> None:
    own: set[str] = set()
    needed: set[str] = set()
    for source in sorted(CORE.glob("*.c")):
        target = tmp_path / f"{source.stem}.o"
        flags = [
            "-std=c11",
            "-O2",
            "-ffreestanding",
            "-ffp-contract=off",
            "-Wall",
            "-Wextra",
            "-Wconversion",
            "-Werror",
        ]
        subprocess.run(["cc", *flags, "-c", str(source), "-o", str(target)], check=True, timeout=60)
        for line in subprocess.run(
            ["nm", str(target)], check=True, capture_output=True, text=True, timeout=60
        ).stdout.splitlines():
            kind, symbol = line.split()[-2:]
            (needed if kind == "U" else own).add(symbol)
    assert needed - own <= FREESTANDING


def test_random_requests_and_light_never_break_the_board(tmp_path: Path) -> None:
    program = tmp_path / "fuzz"
    sources = [str(Path(__file__).parent / "fuzz_board.c"), *map(str, sorted(CORE.glob("*.c")))]
    checks = ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
    subprocess.run(
        ["cc", "-std=c11", "-O1", "-ffp-contract=off", *checks, f"-I{CORE}", *sources, "-o", str(program)],
        check=True,
        timeout=60,
    )
    ran = subprocess.run([str(program)], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert int(ran.stdout.split()[0]) > 20_000  # most of them did something


def test_the_host_library_is_built_without_fused_arithmetic() -> None:
    assert '"-ffp-contract=off"' in (ROOT / "setup.py").read_text()
