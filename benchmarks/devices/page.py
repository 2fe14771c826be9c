"""docs/benchmarks-devices.md: the last run, dated, naming its commit."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from benchmarks.checkout import ROOT, today
from benchmarks.devices.families import ON_TCP

PAGE = ROOT / "docs" / "benchmarks-devices.md"
SPEED = """## Commands a second, beside Hamlib

Our driver and Hamlib {hamlib}'s backend (its C library, no process between), in turns on one emulator, which is a
process of its own on a pty without pacing (rotctld: on TCP). *Read* asks for the angles once; *move and read* sends it
elsewhere and asks once. The emulators answer as late as they state, which is in both: 5 ms a line, 10 ms SPID, 15 ms
NexStar. Hamlib sleeps after a write, 50 ms for GS-232 and 300 ms for SPID, and reads LX200 until its time-outs; none of
our drivers of gimbals has slept: {slept:.3f} s in all of these runs.
"""
NEXSTAR = """
A NexStar is moved by two rates, an answer each, where Hamlib sends one goto: the loops need rates. An MD-01 answers
"set", a ROT2PROG does not."""
TRACKING = """## Tracking error of one pass, beside the resolution

Simulated: {pass_}, in lockstep, every family as the rotator of
the shipped RF station, on its line at its baud rate (a network is not paced), on the same axes (3 deg/s, 2 deg/s2), the
mount calibrated, the elements exact. *Steps alone* is what is left of an axis that is always at the nearest multiple of
its step, step / sqrt(12) an axis, and *ratio* the error beside it; an axis that turns is between its steps, and may do
better. *Told* is what the station says before it starts. The emulated mount itself adds 0.001 deg of worm and wind.
ROT1PROG: its azimuth alone.
"""


def rows(result: dict[str, Any]) -> list[str]:
    """Both tables, in Markdown."""
    lines = [
        "| family | read: ours | Hamlib | ratio | move and read: ours | Hamlib | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in result["commands"].items():
        pairs = (
            f"{found['ours'][w]:.1f} | {found['hamlib'][w]:.1f} | {found['ratio'][w]:.1f}" for w in ("reads", "moves")
        )
        lines.append(f"| {name} | {' | '.join(pairs)} |")
    if "tracking" not in result:
        return lines
    lines += [
        "",
        "| family | follows by | baud | step deg | steps alone, rms deg | told | error, rms deg | largest | ratio |",
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for name, found in result["tracking"].items():
        angles = ("step_deg", "resolution_limit_rms_deg", "told_beforehand_rms_deg", "error_rms_deg", "error_max_deg")
        shown = " | ".join(f"{found[key]:.2g}" for key in angles)
        line = "network" if name in ON_TCP else found["baud"]
        lines.append(f"| {name} | {found['follows_by']} | {line} | {shown} | {found['ratio']:.2g} |")
    return lines


def write_page(result: dict[str, Any], page: Path = PAGE) -> None:
    """The whole page."""
    table = rows(result)
    middle = table.index("") if "" in table else len(table)
    slept_s = sum(found["ours_slept_s"] for found in result["commands"].values())
    text = [
        "# Benchmarks of the drivers of gimbals",
        "",
        f"Run on {today()} at commit {result['commit']} by `python -m benchmarks.devices --page`,",
        f"CPython {platform.python_version()}, on a virtual machine with {os.cpu_count()} cores that was doing other",
        f"things, too (load average {os.getloadavg()[1]:.0f}): the ratios count.",
        "",
        SPEED.format(hamlib=result["hamlib"], slept=slept_s),
        *table[:middle],
        NEXSTAR,
    ]
    if "tracking" in result:
        text += ["", TRACKING.format(pass_=result["pass"]), *table[middle + 1 :]]
    page.write_text("\n".join(text) + "\n", encoding="utf-8")
