"""`boresight passes`: which satellites pass over a rig's site, how high, and whether the mount can fly them."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.connect import DEFAULT_RIG, read_rig
from controller.cli.pass_rows import PassSite, print_table, row, write_csv
from controller.cli.pass_turns import print_turns, turn_rows
from controller.cli.sources import EphemerisOption
from controller.errors import BoresightError

if TYPE_CHECKING:
    from controller.pointing.circumstances import Circumstances
    from controller.pointing.constellation import Indices, PassTable, Progress
    from controller.pointing.ephemeris.ephemeris import Ephemeris
    from controller.pointing.handover import Turn
    from controller.pointing.plan import Plan

COUNT = 20
HOUR_NS = 3_600_000_000_000
LONG = 100_000  # satellites times sites times days: from here on there is a progress bar


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the cycle collector, which looks through every element set again and again: a tenth of the time.

    What is there afterwards is left out for good, or the interpreter would look through it all as it ends.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@_uncollected()
def passes(
    tle: Annotated[Path | None, typer.Option("--tle", help="File of element sets; default: the built-in ones.")] = None,
    ephemeris: EphemerisOption = None,
    target: Annotated[str | None, typer.Option("--target", help="Name or catalogue number; default: all.")] = None,
    rig: Annotated[
        list[Path] | None,
        typer.Option("--rig", "--site", help="Rig file, TOML, whose station is the site; may be repeated."),
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many of the highest, without --target.")] = COUNT,
    start: Annotated[
        str | None, typer.Option("--start", help="UTC, as 2025-10-04T12:00; default: each element set's epoch.")
    ] = None,
    hours: Annotated[float, typer.Option("--hours", min=0.1, max=240.0, help="Length of the search.")] = 24.0,
    now: Annotated[bool, typer.Option("--now", help="What to take now, or at --start: best first.")] = False,
    handover: Annotated[
        float | None,
        typer.Option(
            "--handover", min=0.0, help="A way through all of them: take each so many seconds before leaving."
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write every pass found into this file, too.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw those listed: .png, .pdf or .svg.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """List passes within a day after each element set's epoch, or from now on in an ephemeris that covers it.

    One target's are listed in order of time, else the highest; with --handover those of a way through all of them that
    is made before it is broken, with the fewest handovers.
    """
    from controller.cli.sources import load_targets
    from controller.pointing import wide_vectors

    wide_vectors.prefer()
    rigs = [read_rig(path) for path in rig or [DEFAULT_RIG]]
    sites = [PassSite.of(one) for one in rigs]
    if handover is not None and (now or len(sites) > 1):
        raise BoresightError("--handover is for one site and for all of the time: leave out --now and further --rig.")
    sets: Sequence[Ephemeris] = load_targets(tle, ephemeris, target or "", many=True)
    every = target is not None or (ephemeris is not None and len(sets) == 1)
    begin = _begin(start, now)
    if handover is not None and begin is None:  # the first moment at which all of them are known
        begin = max(getattr(s, "epoch_utc_ns", 0) for s in sets) or None
    if begin is not None:
        sets = _fresh(sets, begin)
    search = _Search.run(sets, sites, begin, hours, now or handover is not None, quiet=json_output)
    turns = None if handover is None else search.turns(hours, handover)
    listed = _listed(search, count, now, every, turns)
    if ephemeris is not None:
        _caution(listed.plans)
    if csv is not None:
        write_csv(csv, listed.search.table, listed.search.seen, sets, sites)
    if plot is not None:
        from controller.cli.pass_plot import draw, horizons_of

        horizons = horizons_of(rigs[0]) if len(rigs) == 1 else {}
        draw(listed.plans, min(s.mask_rad for s in sites), ", ".join(s.name for s in sites), plot, horizons)
    if json_output:
        head = {"site": sites[0].name, "elevation_mask_deg": round(math.degrees(sites[0].mask_rad), 6)}
        typer.echo(json.dumps({**head, "passes": listed.rows}, indent=2))
    else:
        if turns is None:
            print_table(listed.rows, sites)
        else:
            print_turns(listed.rows, sites[0])
        for one in listed.rows:
            for word in (one["cut"], one["keyhole"] if target is not None else ""):
                if word:
                    typer.echo(f"boresight: {word}", err=True)
        if now:
            typer.echo(f"Take {listed.rows[0]['target']}: it can be followed until {listed.rows[0]['set_utc'][11:19]}.")


def _begin(start: str | None, now: bool) -> int | None:
    """The moment asked for, UTC nanoseconds, or None for each set's epoch."""
    if start is not None:
        try:
            moment = datetime.fromisoformat(start)
        except ValueError:
            raise BoresightError(f"--start {start} is no time; give UTC as 2025-10-04T12:00.") from None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return int(moment.timestamp() * 1000) * 1_000_000
    if now:
        from hal.clock import RealClock

        return RealClock().utc_ns()
    return None


def _caution(plans: Sequence[Plan]) -> None:
    """What is to be known of the file of each target listed, at its first pass."""
    from controller.cli.sources import caution

    first = {id(p.target.elements): p.target for p in reversed(plans)}
    for item in reversed(first.values()):
        caution(item.elements, item.rise_utc_ns)


def _fresh(sets: Sequence[Ephemeris], t_utc_ns: int) -> Sequence[Ephemeris]:
    """Element sets whose epoch is near enough to a time; others as they are. Raises ElementsError when none is."""
    from controller.pointing.elements import AGE_MAX_DAYS, Sgp4Orbit

    orbits = [s for s in sets if isinstance(s, Sgp4Orbit)]
    if len(orbits) < len(sets):
        return sets
    fresh = [s for s in orbits if abs(s.age_days(t_utc_ns)) <= AGE_MAX_DAYS]
    if not fresh:
        min(orbits, key=lambda s: abs(s.age_days(t_utc_ns))).check_age(t_utc_ns)
    if len(fresh) < len(sets):
        left_out = len(sets) - len(fresh)
        typer.echo(f"{left_out} of {len(sets)} element sets are more than {AGE_MAX_DAYS:g} days from then.", err=True)
    return fresh


@dataclass(frozen=True)
class _Search:
    """What was found, over which sites, and when it was asked for."""

    sets: Sequence[Ephemeris]
    sites: Sequence[PassSite]
    begin_utc_ns: int | None
    table: PassTable
    seen: Circumstances

    @classmethod
    def run(
        cls,
        sets: Sequence[Ephemeris],
        sites: Sequence[PassSite],
        begin: int | None,
        hours: float,
        up: bool,
        quiet: bool,
    ) -> _Search:
        """`up`: also what has risen before the moment asked for and is up then."""
        from controller.pointing.circumstances import circumstances
        from controller.pointing.constellation import Constellation
        from controller.pointing.constellation_block import compiled_before
        from controller.pointing.elements import Sgp4Orbit

        orbits = [s for s in sets if isinstance(s, Sgp4Orbit)]
        if len(orbits) < len(sets):
            return cls._of_positions(sets, sites, begin, round(hours * HOUR_NS), up)
        if not compiled_before():
            typer.echo("compiling SGP4 for this machine, this once; it takes the better part of a minute ...", err=True)
        constellation = Constellation.of(orbits)
        span_ns = round(hours * HOUR_NS)
        early_ns = _early_ns(up)
        first = constellation.epoch_utc_ns if begin is None else begin - early_ns
        places, earth = [s.observer.site for s in sites], sites[0].observer.earth
        masks = [s.mask_rad for s in sites]

        def find(progress: Progress | None) -> PassTable:
            return constellation.find(places, earth, first, span_ns + early_ns, masks, progress)

        if quiet or len(sets) * len(sites) * hours / 24 < LONG:
            table = find(None)
        else:
            from rich.progress import Progress as Bar

            with Bar(transient=True) as bar:
                task = bar.add_task("searching", total=len(sets))
                table = find(lambda done: bar.update(task, completed=done))
        if len(table.ended):
            names = ", ".join(sets[int(i)].name for i in table.ended[:5])
            typer.echo(f"{len(table.ended)} orbits end in that time, passes may be missing: {names}", err=True)
        return cls(sets, sites, begin, table, circumstances(constellation, table, places, earth))

    @classmethod
    def _of_positions(
        cls, sets: Sequence[Ephemeris], sites: Sequence[PassSite], begin: int | None, span_ns: int, up: bool
    ) -> _Search:
        import numpy as np

        from controller.pointing.circumstances import circumstances
        from controller.pointing.ephemeris_passes import search_window
        from controller.pointing.ephemeris_table import KnownTargets
        from hal.clock import RealClock

        early_ns = _early_ns(up)
        starts = [search_window(s, RealClock().utc_ns())[0] if begin is None else begin - early_ns for s in sets]
        places, earth = [s.observer.site for s in sites], sites[0].observer.earth
        known = KnownTargets(sets, earth)
        table = known.find(places, np.array(starts, dtype=np.int64), span_ns + early_ns, [s.mask_rad for s in sites])
        return cls(sets, sites, begin, table, circumstances(known, table, places, earth))

    def best_now(self) -> Indices:
        """Rows of what to take at the moment asked for, the best first."""
        import numpy as np

        from controller.pointing.plan import MARGIN
        from controller.pointing.take_now import take_now

        limits = np.array([MARGIN * s.limits.rate_max_rad_s for s in self.sites])
        return take_now(self.table, self.seen, self.begin_utc_ns or 0, limits[self.table.site])

    def turns(self, hours: float, overlap_s: float) -> list[Turn]:
        """The way through all passes from the moment asked for, or the first rise, for so many hours."""
        from controller.pointing.handover import sequence
        from controller.pointing.plan import MARGIN

        start = self.begin_utc_ns or int(self.table.rise_utc_ns.min(initial=2**62))
        limit = MARGIN * self.sites[0].limits.rate_max_rad_s
        return sequence(self.table, self.seen, start, start + round(hours * HOUR_NS), round(overlap_s * 1e9), limit)


def _early_ns(up: bool) -> int:
    """How long before the moment to search: what is up now may have culminated long ago."""
    from controller.pointing.turning import LONGEST_MINUTES, NS_PER_MINUTE

    return round(LONGEST_MINUTES * NS_PER_MINUTE) if up else 0


@dataclass(frozen=True)
class _Listed:
    search: _Search
    plans: Sequence[Plan]
    rows: Sequence[dict[str, Any]]


def _listed(search: _Search, count: int, now: bool, every: bool, turns: list[Turn] | None) -> _Listed:
    """The passes to show. Raises PassError when there is none."""
    import numpy as np

    from controller.pointing.passes import PassError
    from controller.pointing.plan import never_rises, plan

    table = search.table
    if not len(table):
        site = search.sites[0]
        raise PassError(never_rises(search.sets, site.observer.site, site.mask_rad))
    if now:
        chosen = search.best_now()[:count]
        if not len(chosen):
            raise PassError("Nothing that the mount can fly is up or rises within ten minutes; try a later --start.")
    elif turns is not None:
        if not turns:
            raise PassError("No pass that the mount can fly begins in that time; try more --hours or another --start.")
        chosen = np.array([turn.row for turn in turns])
    elif every:
        chosen = np.arange(len(table))
    else:
        chosen = np.argsort(-table.elevation_max_rad, kind="stable")[:count]
    sites = [search.sites[int(table.site[i])] for i in chosen]
    plans = [
        plan(table.one(int(i), search.sets), site.observer, site.limits) for i, site in zip(chosen, sites, strict=True)
    ]
    rows = [row(p, site, search.seen, int(i)) for p, site, i in zip(plans, sites, chosen, strict=True)]
    if turns is not None:
        rows = [one | part for one, part in zip(rows, turn_rows(turns, plans), strict=True)]
    return _Listed(search, plans, rows)
