"""Every parser under a coverage-guided fuzzer: libFuzzer, by atheris for Python and by clang for the firmware.

`python -m benchmarks.fuzz [--inputs N] [--only NAME] [--jobs N]` writes its rows of docs/fuzzing.md, each dated and
naming the commit; rows of parsers that were not run stay as they are. A parser that was broken off goes on, at the same
commit, with what it has kept (build/fuzz); progress is told on stderr.
The inputs are those of tests/fuzz (valid messages, damaged; checksums put right), kept and changed further when they
reach something new. Needs the extra `campaign` and, for the firmware, clang (Debian: clang, libclang-rt-14-dev).
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from benchmarks.checkout import ROOT, commit, today

PAGE = ROOT / "docs" / "fuzzing.md"
FIRMWARE = "firmware, as C"
INPUTS = 10_000_000
AT_ONCE = 2_000_000  # inputs between two marks of how far it is
KEPT = ROOT / "build" / "fuzz"
HEAD = (
    "# Fuzzing",
    "",
    "`python -m benchmarks.fuzz` (`--only NAME`, `--inputs N`): libFuzzer, guided by coverage, feeds every parser;",
    "anything but its documented error is a failure. In CI the same parsers get 10^5 inputs each, those of files of",
    "positions 5,000 (tests/fuzz).",
    "",
    "| parser | inputs | seconds | edges reached | inputs kept | date | commit |",
    "|---|---|---|---|---|---|---|",
)
ROOM = 8  # bytes beyond the longest seed: an input is about one message, since a device keeps its state between them
INSTRUMENTED = ["hal", "controller", "sim_hw"]


def child(name: str, inputs: int, corpus: str, seed: int) -> None:
    """Fuzz one parser in this process; libFuzzer ends it."""
    import atheris

    sys.path.insert(0, str(ROOT / "tests" / "support"))
    with atheris.instrument_imports(include=INSTRUMENTED):
        from mutations import change
        from parsers import TARGETS

    target = next(target for target in TARGETS if target.name == name)
    feed = target.make()
    for number, message in enumerate(target.seeds):
        (Path(corpus) / f"seed{number}").write_bytes(message)

    def one(data: bytes) -> None:
        with suppress(*target.allowed):
            feed(data)

    rng = random.Random(seed)

    def mutate(data: bytes, longest: int, _: int) -> bytes:
        """What libFuzzer keeps, changed its way or ours; in three of four the checksum is put right."""
        changed = bytearray(data if rng.random() < 0.5 else atheris.Mutate(data, longest))
        change(changed, target.seeds, rng)
        return (target.repair(changed) if target.repair and rng.random() < 0.75 else bytes(changed))[:longest]

    longest = max(map(len, target.seeds)) + ROOM
    options = [f"-runs={inputs}", f"-max_len={longest}", f"-seed={seed}", "-timeout=20", "-rss_limit_mb=4096"]
    ours = {"custom_mutator": mutate} if target.repair else {}  # where no checksum guards, libFuzzer's own are faster
    atheris.Setup([sys.argv[0], *options, corpus], one, **ours)
    atheris.Fuzz()


def run(name: str, inputs: int, commit: str) -> str:
    """Fuzz one parser in processes of its own, AT_ONCE inputs each; a row of the table."""
    folder = KEPT / f"{re.sub(r'[^a-z0-9]+', '-', name)}-{commit}"
    corpus, mark = folder / "corpus", folder / "mark.json"
    corpus.mkdir(parents=True, exist_ok=True)
    ran, spent_s, cov, kept = json.loads(mark.read_text()) if mark.exists() else (0, 0, 0, 0)
    while ran < inputs:
        count, seed = min(AT_ONCE, inputs - ran), 2026 + ran // AT_ONCE
        if name == FIRMWARE:
            command = [firmware(folder), f"-runs={count}", "-max_len=200", f"-seed={seed}", str(corpus)]
        else:
            words = ("--child", name, str(corpus), "--inputs", str(count), "--seed", str(seed))
            command = [sys.executable, "-m", "benchmarks.fuzz", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
        said = done.stderr + done.stdout
        told = re.search(r"Done (\d+) runs in (\d+) second", said)
        if done.returncode or told is None:
            return f"| {name} | FAILED | | | `{_failure(said)}` |"
        cov, kept = (int(n) for n in re.findall(r"cov: (\d+) ft: \d+ corp: (\d+)", said)[-1])
        ran, spent_s = ran + int(told[1]), spent_s + int(told[2])
        (folder / "mark.new").write_text(json.dumps([ran, spent_s, cov, kept]))
        (folder / "mark.new").replace(mark)  # whole or not at all
        print(f"{name}: {ran:,} of {inputs:,}", file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    return f"| {name} | {ran:,} | {spent_s} | {cov} | {kept} |"


def firmware(folder: Path) -> str:
    """Build the board's core with clang's fuzzer and sanitizers; path of the program."""
    clang = next(filter(shutil.which, ("clang", "clang-14")), None)
    if clang is None:
        raise SystemExit("The firmware is fuzzed with clang; install it (Debian: clang, libclang-rt-14-dev).")
    core = ROOT / "firmware" / "core"
    sources = [str(ROOT / "tests" / "firmware" / "fuzz_bytes.c"), *map(str, sorted(core.glob("*.c")))]
    flags = ["-std=c11", "-O2", "-g", "-ffp-contract=off", "-fsanitize=fuzzer,address,undefined"]
    program = folder / "fuzz_bytes"
    subprocess.run([clang, *flags, "-fno-sanitize-recover=all", f"-I{core}", *sources, "-o", str(program)], check=True)
    return str(program)


def _failure(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"\w*(Error|Exception)\b|.*ERROR:|.*runtime error", line)]
    return (told or lines or ["no output"])[0].replace("|", "\\|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=2026, help=argparse.SUPPRESS)
    parser.add_argument("--child", nargs=2, metavar=("NAME", "CORPUS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], options.inputs, options.child[1], options.seed)
        return
    if find_spec("atheris") is None:
        raise SystemExit("The parsers are fuzzed with atheris; install it: pip install -e '.[dev,campaign]'.")
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from parsers import TARGETS

    names = [name for name in (*(t.name for t in TARGETS), FIRMWARE) if not options.only or name in options.only]
    ran = commit()
    stamp = f"{today()} | {ran}"
    rows = kept_rows([*(t.name for t in TARGETS), FIRMWARE])
    failed = False
    with ThreadPoolExecutor(options.jobs) as pool:
        running = {pool.submit(run, name, options.inputs, ran): name for name in names}
        for future in as_completed(running):
            name, row = running[future], future.result()
            rows[name] = f"{row} {stamp} |"
            failed |= "FAILED" in row
            print(rows[name], flush=True)
            PAGE.write_text("\n".join([*HEAD, *(row for row in rows.values() if row)]) + "\n", encoding="utf-8")
    if failed:
        raise SystemExit("A parser did what it must not do.")


def kept_rows(names: list[str]) -> dict[str, str]:
    """The page's present row of every parser that there still is; empty where it has none."""
    found = {line.split("|")[1].strip(): line for line in PAGE.read_text(encoding="utf-8").splitlines() if "|" in line}
    return {name: found.get(name, "") for name in names}


if __name__ == "__main__":
    main()
