"""docs/soak.md: what the last soaks found, one section for each of the two clocks, each dated, naming its commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.checkout import ROOT, today
from benchmarks.sections import put_section
from benchmarks.soak.memory import PERIOD_S
from benchmarks.soak.program import RSS_LIMIT_KB_H
from benchmarks.soak.realtime import PERIOD_S as REALTIME_S

PAGE = ROOT / "docs" / "soak.md"
TITLES = {"lockstep": "Simulated time", "realtime": "Real time"}
HEAD = f"""# Soak

A station that flies one pass after the other while random faults from the table, deaths of its services and stops by
its operator befall it, drawn from a seed (benchmarks/soak). A scripted operator does what a human would: after a trip
he resets, tracks, arms and confirms; nothing resumes by itself. Every figure is of an emulated bench.

Watched in every second, from the world's truth and the bus: no emission 0.1 s after any vote said no, 0.3 s after the
safety service's last word, without an arm and a confirmation, or inside the Sun's cone; no motion 0.55 s after HOLD,
SAFE or FAULT, towards the Sun, or beyond the axes' rate and travel; no gap in a sequence that the subscriber's counter
does not have. At the end: every recording opens, has its index and holds what was sent; every pass is in LINK, or a
fault that was at work at that moment explains why not (a first sweep misses its satellite in 0.5 % of cases, as
predicted; these are counted, and more of them than chance leaves are a failure); resident memory grows by at most
{RSS_LIMIT_KB_H:.0f} kB an hour after the warm-up, as means over the {PERIOD_S / 60:.0f} minutes that a recording's
index is kept in memory (real time: over the {REALTIME_S / 60:.0f} minutes from pass to pass, with five recordings in
them); open files and threads not at all. What is judged is all of RSS; beside it stands the slope without pages of
libraries and other files: code that runs for the first time becomes resident, too, and is no memory that was taken.
"""


def write_page(result: dict[str, Any], page: Path = PAGE) -> None:
    """Put a result in its section; the other stays as it was."""
    put_section(page, HEAD, TITLES[result["kind"]], lines(result))


def lines(result: dict[str, Any]) -> list[str]:
    """One section without its title."""
    r = result
    text = [
        f"Run on {today()} at commit {r['commit']} with seed {r['seed']}: {r['simulated_h']} of",
        f"{r['planned_h']} planned hours of the station in {r['wall_h']} h, {r['ratio']} times real time.",
        "",
        f"- {r['passes']} passes: {r['held_without_a_break']} held without a break, {r['held']} in LINK at the end,",
        f"  {r['explained']} lost or broken with a cause, {r['unexplained']} without; LINK for {r['link_s']:.0f} s,",
        f"  {r['fades']} fades, {r['sweeps_missed']} sweeps that did not find their satellite at once",
        f"- befell it: {r['faults']} faults of {len(r['fault_words'])} kinds, {r['deaths']} deaths of services,",
        f"  {r['operator_stops']} stops by the operator",
        f"- {r['trips']} trips, {r['resets']} resets ({r['stops_for_a_latched_board']} of them of a latched board),",
        f"  {r['arms']} times armed and confirmed, {r['station_starts_again']} starts of the station",
        f"- {r['seconds_looked_at']} seconds looked at, {r['unsafe_seconds']} unsafe; {r['emitting_s']} s of emission;",
        f"  {r['moved_while_unreachable_s']} s in which the mount moved on because its wire was broken (what stops it",
        "  then is its power switch, as `rig check` says)",
        f"- {r['messages']} messages heard, {r['messages_missed']} missed, {r['gaps_counted']} counted as gaps;",
        f"  {r['recorded']} recorded in {r['recordings']} files",
    ]
    if r["kind"] == "realtime":
        text += [
            f"- the bench's machine stood still {r['bench_stalls']} times for more than 0.1 s, at most",
            f"  for {r['bench_late_max_s']} s: then every device is silent, which is a cause like any other;",
            f"  {r['blind_seconds']} seconds of it would count as unsafe of a device that hears what it is told;",
            f"  the station's supervisor was silent {r['station_late']} times for more than 0.3 s",
        ]
    text += [
        "",
        "| process | RSS slope, kB/h | without pages of files | RSS, MB | files | growth | threads | growth |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in sorted(r["memory"].items()):
        cells = [name, row["rss_slope_kb_h"], row["own_slope_kb_h"], row["rss_end_mb"]]
        cells += [row["fds"], row["fd_growth"], row["threads"]]
        text.append(f"| {' | '.join(map(str, [*cells, row['thread_growth']]))} |")
    if r["refusals"]:
        text += ["", "What the operator was refused, # for numbers:", ""]
        text += [f"- {count} times {sentence}" for sentence, count in r["refusals"].items()]
    text += ["", "Passes that were lost or broken:", "", "| pass | LINK, s | at the end | why |", "|---|---|---|---|"]
    for number, verdict in enumerate(r["verdicts"], 1):
        if verdict["causes"] or verdict["unexplained"]:
            why = "; ".join([*verdict["causes"], *(f"UNEXPLAINED: {what}" for what in verdict["unexplained"])])
            held = "LINK" if verdict["held_at_the_end"] else "lost"
            text.append(f"| {number} | {verdict['link_s']} | {held} | {why.replace('|', '/')} |")
    text += ["", "Failures: none." if not r["failures"] else "Failures:"]
    text += [f"- {failure.splitlines()[-1]}" for failure in r["failures"]]
    return text
