"""docs/benchmarks-pointing.md: the last run, dated, naming its commit."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from benchmarks.checkout import ROOT, commit, today, versions

PAGE = ROOT / "docs" / "benchmarks-pointing.md"
PEERS = ("astroz", "sgp4", "skyfield", "heyoka")
HEAD = """# Benchmarks of pointing

Run on {date} at commit {commit} by `python -m benchmarks.pointing --page`, CPython {python}, on a virtual
machine with {cores} shared cores (load average {load:.1f}, of which this run is 1): the ratios count. Times are CPU
time of one process unless they say otherwise, and the best of several.

## Passes of a constellation, beside others

Passes above 10 degrees over one site in 24 h of all {satellites:,} Starlinks of a real catalogue, in one run, the same
answers asked of each. *Slower* is the ratio to ours; *missed*, *added* and the worst error of rise and set are against
a search by brute force, of {of} passes of 400 of them. Skyfield does a sample, on its own Earth orientation.

| | CPU s | slower | passes | missed | added | worst, ms | SGP4, million/s |
|---|---|---|---|---|---|---|---|
"""
REST = """
The fastest of the others ({versions}) takes **{times:.0f} times** as long; 15 times are aimed at.

| | | aim |
|---|---|---|
| 1,000,000 objects x 24 h, passes above 10 degrees | {million[cpu_s]:.1f} CPU-s, {million[passes]:,} passes | 10 |
| SGP4, positions and velocities a second on one core | {sgp4:.0f} million | 25 |
| `boresight passes`, {shell[objects]:,} objects and a day, from the shell, start-up included | {command} | 2 s |
| a prepared direction with rates, from plain Python | {look:.1f} us | 5 |

## One object

| | us |
|---|---|
| fit of the trajectory of one pass | {fit:.0f} |
| encoder angles by the mount model | {mount:.1f} |
| one turn of the gimbal loop | {turn:.0f} |
| all passes of one satellite and a day | {day:.0f} |
| choice of the best pass among the built-in element sets | {choice:.0f} |
"""


def write_page(result: dict[str, Any], shell: dict[str, Any], many: dict[str, Any], page: Path = PAGE) -> None:
    """The whole page."""
    ours = many["boresight"]
    text = HEAD.format(
        date=today(),
        commit=commit(),
        python=platform.python_version(),
        cores=os.cpu_count(),
        load=os.getloadavg()[0],
        satellites=many["satellites"],
        of=ours["of"],
    )
    text += "\n".join([_row("Boresight", ours, many["sgp4_million_per_s"]), *_peers(many)]) + "\n"
    text += REST.format(
        versions=versions(*PEERS),
        times=many["times_faster_than_fastest_peer"],
        million=many["million_objects"],
        sgp4=many["sgp4_million_per_s"],
        shell=shell,
        command=f"{shell['elapsed_s']:.2f} s, {shell['cpu_s']:.2f} CPU-s",
        look=result["trajectory_evaluation_us"],
        fit=result["trajectory_fit_us"],
        mount=result["mount_model_us"],
        turn=result["loop_turn_us"],
        day=result["passes_of_a_day_us"],
        choice=result["choice_among_built_in_s"] * 1e6,
    )
    page.write_text(text, encoding="utf-8")


def _peers(many: dict[str, Any]) -> list[str]:
    found = {name: each for name, each in many.items() if isinstance(each, dict) and "slower" in each}
    return [
        _row(name, each, each.get("propagations_million_per_s"))
        for name, each in sorted(found.items(), key=lambda item: float(item[1]["cpu_s"]))
    ]


def _row(name: str, found: dict[str, Any], sgp4: float | None) -> str:
    cells = [
        f"{found['cpu_s']:.3f}",
        f"{found.get('slower', 1.0):.1f}",
        f"{found['passes']:,}",
        str(found.get("missed", "")),
        str(found.get("added", "")),
        f"{found['worst_ms']:.3f}" if "worst_ms" in found else "",
        "" if sgp4 is None else f"{sgp4:.1f}",
    ]
    return f"| {name} | {' | '.join(cells)} |"
