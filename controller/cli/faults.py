"""`boresight faults`: plays the catalogue of what can go wrong, and says where the station did not end as it must."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controller.cli.faults_table import Place, Row
    from controller.cli.faults_verdict import Found

app = typer.Typer(
    add_completion=False, help="The catalogue of everything that can go wrong, played on a station in LINK."
)


@app.command("list")
def list_(
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON array and nothing else.")] = False,
) -> None:
    """Show the rows: what is done, and how it must end."""
    from controller.cli.faults_table import TABLE

    if json_output:
        rows = [{"name": row.name, "done": row.done, "ends": row.ends, "places": row.places} for row in TABLE]
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in TABLE:
        off = f"off in {row.off.ms:.0f} ms" if row.off is not None else "emits on"
        typer.echo(f"{row.name:<30}{'/'.join(mode or 'silence' for mode in row.ends):<18}{off:<16}{row.done}")


@app.command()
def run(
    row: Annotated[list[str] | None, typer.Option("--row", help="Only this row; may be given again.")] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime/--lockstep", help="Processes in real time, or simulated time.")
    ] = False,
    everywhere: Annotated[bool, typer.Option("--all", help="Both, one after the other.")] = False,
    page: Annotated[Path | None, typer.Option(help="Also write the dated page of results here.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Play the table; exit code 1 when a row does not end as it must, in time."""
    from rich.console import Console

    from controller.cli.faults_page import commit, write
    from controller.cli.faults_table import rows

    if row and page is not None:
        raise typer.BadParameter("a page is of the whole table: leave out --row", param_hint="--page")
    tree = commit()  # as it is loaded
    places: list[Place] = ["lockstep", "realtime"] if everywhere else ["realtime" if realtime else "lockstep"]
    # With --all a row is played wherever it is at home; else it is a mistake to name one of elsewhere.
    homes = {one.name: one.places for one in rows(row or ())}
    wanted = {place: [n for n in homes if place in homes[n] or not everywhere] for place in places}
    console = Console(stderr=True, quiet=json_output)

    def tell(row: Row, found: Found) -> None:
        mark = "ok  " if found.passed else "FAIL"
        console.print(f"{mark} {line(row, found)}", highlight=False, soft_wrap=True)
        for problem in (*found.problems, *(f"in a play before: {problem}" for problem in found.earlier)):
            console.print(f"       {problem}", highlight=False, soft_wrap=True)

    chosen = {place: rows(names if row else (), place) for place, names in wanted.items() if names}
    results = {place: list(_player(place)(these, tell)) for place, these in chosen.items()}
    for place, played in results.items():
        if page is not None:
            write(page, played, place, tree)
    found = [(row, found) for played in results.values() for row, found in played]
    failed = [found.name for _, found in found if not found.passed]
    if json_output:
        summary: dict[str, Any] = {
            "place": "all" if everywhere else places[0],
            "rows": [found.as_json(row) for row, found in found],
            "failed": failed,
            "played": {place: _played(place, played, bool(row)) for place, played in results.items()},
        }
        typer.echo(json.dumps(summary, indent=2))
    else:
        for place, played in results.items():
            typer.echo(_played(place, played, bool(row)))
        typer.echo(f"{len(found)} rows, {len(failed)} of them failed{': ' + ', '.join(failed) if failed else ''}")
    raise typer.Exit(1 if failed else 0)


def _played(place: Place, played: list[tuple[Row, Found]], chosen: bool) -> str:
    """How many of all rows, and, where nobody has chosen some, which are left."""
    from controller.cli.faults_table import TABLE, elsewhere

    return (
        f"{len(played)} of {len(TABLE)} rows, chosen" if chosen else elsewhere(place, (row.name for row, _ in played))
    )


def _player(place: Place) -> Callable[[list[Row], Callable[[Row, Found], None]], Iterator[tuple[Row, Found]]]:
    if place == "realtime":
        from controller.cli.faults_realtime import play
    else:
        from controller.cli.faults_lockstep import play
    return play


def line(row: Row, found: Found) -> str:
    """One row of the table as text."""
    bound = f"{row.off.ms:.0f}" if row.off is not None else "-"
    off = f"{found.off_ms:.0f}" if found.off_ms is not None else "-"
    late = f"{max(0.0, (found.off_ms or 0.0) - found.lost_ms):.1f}" if found.lost_ms is not None else "-"
    times = f"off {off:>5} of {bound:>5} ms, vote to off {late:>5} ms"
    slack = f", bounds {found.slack_ms:+.0f} ms" if found.slack_ms else ""
    again = "" if found.plays == 1 else f"  (play {found.plays}{slack})"
    return f"{row.name:<28}{found.mode or 'silence':<8} {times}{again}  {found.told[:70]}"
