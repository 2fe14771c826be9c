"""docs/fault-campaign.md: what came of the table, dated, with the commit that it was played on."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from controller.cli.faults_table import HUNG, MOTION, Bound, Place, Row, elsewhere
from controller.cli.faults_verdict import Found
from hal.clock import RealClock

HEADS = {"lockstep": "## In lockstep", "realtime": "## In real time"}
PREFACE = """# Fault campaign

Everything that can go wrong, each on an emulated station that emits and moves: how it ended. `boresight faults list`
shows what is done and how it must end, `boresight faults run --all --page docs/fault-campaign.md` plays it, in
simulated time and then in real time, and writes this page. Every row is in controller/cli/faults_table.py with the
reason of its bound; rows of which the wish is that the link holds, and those of camera and beam board, begin in LINK,
the others as soon as the beacon is seen. Each fault comes at a moment of its own in the services' turn of 20 ms, the
same each time.

- *off*: from the fault to the moment after the last at which it emitted. *bound*: what it may take.
- *vote to off*: from the moment at which the safety process could know that a vote is lost (a message came, or the last
  one grew too old) to emission off; 10 ms at most in simulated time. 0 where the beam board had switched off before.
- *(again)*, real time only: the machine under the emulated bench stood still for over 5 ms, which no device does; the
  row failed in nothing but that something came late, or that a station gave up emission by itself, and was played
  again. *(+60 ms)*: it stood still in three plays of three, and that much was added to its bounds.
- A dash: it did not happen, or there was no such vote.

A row fails, too, when its fault has touched nothing (no reply was spoiled, no turn withheld, no guest answered), when
the station did not emit and move as it came, when emission comes back, when somebody dies who was not meant to, and
when a guest is told anything but the right error. Where the wish is that the link holds, a row fails when emission ends
for a moment. Below each table stands why its bounds are what they are.
"""


def write(path: Path, results: list[tuple[Row, Found]], place: Place, tree: str) -> None:
    """Replace the part of that place, and leave the rest of the page as it is."""
    put(path, HEADS[place], _part(results, place, tree))


def put(path: Path, head: str, text: str) -> None:
    """Replace what stands under a second-level head, or add it."""
    parts = _parts(path) | {head: text}
    heads = [*(known for known in HEADS.values() if known in parts), *(set(parts) - set(HEADS.values()))]
    body = "\n".join(f"{name}\n\n{parts[name]}" for name in heads)
    path.write_text(f"{PREFACE}\n{body}", encoding="utf-8")


def _parts(path: Path) -> dict[str, str]:
    """Second-level heads of the page as it is, with what stands under them."""
    if not path.exists():
        return {}
    parts = path.read_text(encoding="utf-8").split("\n## ")[1:]
    return {f"## {head}": text.strip() + "\n" for head, _, text in (part.partition("\n") for part in parts)}


def _part(results: list[tuple[Row, Found]], place: Place, tree: str) -> str:
    failed = sum(not found.passed for _, found in results)
    kind = "Simulated time, every wire in memory." if place == "lockstep" else "Real time, a process a service."
    lines = [
        f"{now()} UTC, commit {tree}, under a load of {os.getloadavg()[0]:.1f}. {kind}",
        f"{elsewhere(place, (row.name for row, _ in results))}. {failed} of them failed.",
        "",
        "| fault | ends in | emission | off | bound | vote to off | axes at rest | bound | told |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row, found in results:
        state = "on" if found.emitting else "off"
        late = None if found.lost_ms is None or found.off_ms is None else max(0.0, found.off_ms - found.lost_ms)
        mark = (" (again)" if found.plays > 1 else "") + (f" ({found.slack_ms:+.0f} ms)" if found.slack_ms else "")
        mark += "" if found.passed else " **failed**"
        bound = _ms(row.off.ms if row.off is not None else None)
        at_rest = row.still(place)
        still = _ms(at_rest.ms if isinstance(at_rest, Bound) else None)
        told = found.told.replace("|", "/")[:90]
        lines.append(
            f"| {row.name}{mark} | {found.mode or 'silence'} | {state} | {_ms(found.off_ms)} | {bound} | "
            f"{_ms(late, 1)} | {_ms(found.still_ms)} | {still} | {told} |"
        )
    return "\n".join([*lines, "", *_reasons([row for row, _ in results], place)]) + "\n"


def _reasons(rows: list[Row], place: Place) -> list[str]:
    """Every bound once, with its reason and the rows that it holds for."""
    emission: dict[str, list[str]] = {}
    motion: dict[str, list[str]] = {}
    for row in rows:
        if row.off is not None:
            emission.setdefault(f"{row.off.ms:.0f} ms: {row.off.reason}", []).append(row.name)
        still = row.still(place)
        if still is HUNG or still is MOTION.get(row.name, 0):
            why = f"{still.ms:.0f} ms: {still.reason}" if isinstance(still, Bound) else f"no bound: {still}"
            motion.setdefault(why, []).append(row.name)
    lines = ["Why emission may take so long:", ""]
    lines += [f"- {why} ({', '.join(names)})." for why, names in emission.items()]
    lines += ["", "The axes are commanded to rest 0.5 s after that. Other bounds of motion, and why:", ""]
    return lines + [f"- {why} ({', '.join(names)})." for why, names in motion.items()]


def _ms(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f} ms"


def now() -> str:
    """For the head of a part."""
    return datetime.fromtimestamp(RealClock().utc_ns() * 1e-9, UTC).strftime("%Y-%m-%d %H:%M")


def commit() -> str:
    """Of the tree that ran; a plus where it had changes."""
    with suppress(OSError, subprocess.CalledProcessError):
        folder = Path(__file__).parent
        words = ["git", "-C", str(folder)]
        name = subprocess.check_output([*words, "rev-parse", "--short", "HEAD"], text=True, stderr=subprocess.DEVNULL)
        changed = subprocess.check_output([*words, "status", "--porcelain", "-uno"], text=True)
        return name.strip() + ("+" if changed.strip() else "")
    return "unknown"
