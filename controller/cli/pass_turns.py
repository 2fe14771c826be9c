"""The way through a constellation as rows: for JSON, and for the table on a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from controller.cli.pass_rows import PassSite, iso

if TYPE_CHECKING:
    from controller.pointing.handover import Turn
    from controller.pointing.plan import Plan

COLUMNS = ("take (UTC)", "target", "for", "overlap", "slew", "peak")


def turn_rows(turns: Sequence[Turn], plans: Sequence[Plan]) -> list[dict[str, Any]]:
    """What a turn adds to its pass: when it is taken and left, the overlap, and the angle from the one before."""
    slews = [
        0.0,
        *(_apart_deg(before, after, turn) for (before, after), turn in zip(pairwise(plans), turns[1:], strict=True)),
    ]
    times = iso([moment for turn in turns for moment in (turn.take_utc_ns, turn.leave_utc_ns)])
    return [
        {
            "take_utc": take,
            "leave_utc": leave,
            "overlap_s": round(turn.overlap_ns / 1e9, 3),
            "slew_deg": round(slew_deg, 2),
        }
        for turn, slew_deg, take, leave in zip(turns, slews, times[::2], times[1::2], strict=True)
    ]


def _apart_deg(before: Plan, after: Plan, turn: Turn) -> float:
    """On the sky, when the second is taken; in a gap from where the first has set."""
    a, b = (
        before.trajectory.receive(min(turn.take_utc_ns, before.target.set_utc_ns)),
        after.trajectory.receive(turn.take_utc_ns),
    )
    cosine = math.sin(a.elevation_rad) * math.sin(b.elevation_rad)
    cosine += math.cos(a.elevation_rad) * math.cos(b.elevation_rad) * math.cos(a.azimuth_rad - b.azimuth_rad)
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


def print_turns(rows: Sequence[dict[str, Any]], site: PassSite) -> None:
    """As an operator reads it, and what it comes to."""
    from rich.console import Console
    from rich.table import Table

    title = f"A way through, over {site.name} above {math.degrees(site.mask_rad):g}° (overlap below 0: a gap)"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in {"take (UTC)", "target"} else "right", no_wrap=True)
    for one in rows:
        table.add_row(*_cells(one))
    console = Console()
    console.print(table)
    gaps = [-one["overlap_s"] for one in rows if one["overlap_s"] < 0]
    told = f"{len(gaps)} gaps, {sum(gaps):.0f} s in all" if gaps else "never broken"
    console.print(f"{len(rows)} satellites, {len(rows) - 1} handovers, {told}.", highlight=False)


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    seconds = _seconds(one["leave_utc"]) - _seconds(one["take_utc"])
    return (
        one["take_utc"][5:19].replace("T", " "),
        one["target"],
        f"{seconds % 86_400:.0f} s",
        f"{one['overlap_s']:.0f} s",
        f"{one['slew_deg']:.0f}°",
        f"{one['elevation_max_deg']:.1f}°",
    )


def _seconds(utc: str) -> float:
    hours, minutes, seconds = utc[11:-1].split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
