"""docs/benchmarks.md: the last run of each of the two benchmarks, dated; what was written by hand beside them stays."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import zmq

from benchmarks.checkout import ROOT, commit, today, versions
from benchmarks.sections import put_section

PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = "# Benchmarks of the bus\n"
COMMANDS, FLOOD = "Against raw pyzmq and others", "A hundred clients and one that is stopped"
LIBRARIES = ("pyzmq", "grpcio", "eclipse-zenoh", "websockets", "uvloop")
AIMS = {
    ("ours", "p50"): "command, median",
    ("ours", "p99"): "command, p99",
    ("ours CURVE", "p50"): "command with CURVE, median",
    ("ours, asyncio + uvloop", "p50"): "asyncio client on uvloop, median",
}
WHAT = """\
A command and its answer of the same size, and {telemetry} bytes of telemetry in bursts of 500. Each transport is three
processes of its own that load nothing of the others: a client, a service that answers and one that publishes. All are
alive at once and take turns in random order: {rounds} rounds of {trips} round trips of 64 B, 1 kB and 32 kB, everything
started anew {starts} times, since where the kernel puts a process's libraries moves its round trip by microseconds for
all of its life. *x* is the ratio to raw pyzmq (DEALER and ROUTER, PUB and SUB over tcp) in the same run, of CURVE to
raw pyzmq with CURVE; in brackets the smallest and largest of a single round. Ours checks envelope, deadline, boot id,
idempotency and lease of every command and decodes telemetry to its struct; the others carry bytes and check nothing.
*Envelope alone* is our envelope over bare sockets, written and read whole at both ends by a service that waits for
three sockets and checks nothing."""
LOOP = """\
A service with a loop of {rate_hz:g} Hz ({priority}) publishes two topics a cycle to {clients} subscribers in four
processes; one more client is stopped with SIGSTOP. A step is late when the one before it ended after it was due."""


def write_section(title: str, lines: list[str], page: Path = PAGE) -> None:
    """Put a section in its place, or at the end; the others stay as they were."""
    put_section(page, HEAD, title, lines)


def commands(result: dict[str, Any]) -> list[str]:
    """The section of `python -m benchmarks.bus`, without its title."""
    starts, rounds = result["starts"], result["rounds"]
    trips = ", ".join(str(count) for count in result["trips"])
    lines = [
        *dated(f"python -m benchmarks.bus --page --starts {starts} --rounds {rounds}"),
        "",
        WHAT.format(telemetry=result["telemetry_bytes"], rounds=rounds, trips=trips, starts=starts),
    ]
    for placement, found in result["placements"].items():
        lines += [
            "",
            f"### {placement[0].upper()}{placement[1:]}",
            "",
            "| | 64 B p50 µs | x | p99 µs | x | 1 kB p50 x | 32 kB p50 x | messages/s | x |",
            "|---|---|---|---|---|---|---|---|---|",
            *(row(name, told) for name, told in found.items()),
        ]
    placements = result["placements"]
    lines += [
        "",
        "What was aimed at, and what came out at 64 B:",
        "",
        f"| | aim | {' | '.join(placements)} |",
        "|---|---|" + "---|" * len(placements),
    ]
    for (name, key), title in AIMS.items():
        aim = result["targets"][f"{name} {key}"]
        reached = [found[name]["64 B"][key]["ratio"] for found in placements.values() if name in found]
        cells = (f"**{ratio:.2f}**" if ratio <= aim else f"{ratio:.2f}" for ratio in reached)
        lines.append(f"| {title} | {aim:g} | {' | '.join(cells)} |")
    for name, why in result["not_available"].items():
        lines += ["", f"Not measured: {name}, {why}."]
    return lines


def row(name: str, told: dict[str, Any]) -> str:
    p50, p99, telemetry = told["64 B"]["p50"], told["64 B"]["p99"], told["telemetry"]
    least, most = p50["ratio_of_rounds"]
    larger = " | ".join(f"{told[size]['p50']['ratio']:.2f}" for size in ("1024 B", "32768 B"))
    return (
        f"| {name} | {p50['us']:.0f} | {p50['ratio']:.2f} ({least:.2f} to {most:.2f}) | {p99['us']:.0f} "
        f"| {p99['ratio']:.2f} | {larger} | {telemetry['per_s']:.0f} | {telemetry['ratio']:.2f} |"
    )


def flood(result: dict[str, Any], seconds: float) -> list[str]:
    """The section of `python -m benchmarks.bus.load`, without its title."""
    loop, stopped = result["loop"], result["stopped"]
    lines = [
        *dated(f"python -m benchmarks.bus.load --page --seconds {seconds:g}"),
        "",
        LOOP.format(rate_hz=1 / loop["period_s"], priority=loop["priority"], clients=result["clients"]),
        "",
        "| | steps | late | memory of the service, MB | messages/s delivered | missed by all together |",
        "|---|---|---|---|---|---|",
    ]
    for name, phase in result["phases"].items():
        lines.append(
            f"| {name} | {phase['steps']} | {phase['late_steps']} | {phase['rss_mb']:.1f} "
            f"| {phase['delivered_per_s']:.0f} | {phase['missed']} |"
        )
    lines += [
        "",
        f"The one that was stopped counted {stopped['gaps_counted']} messages as missed while the sequence moved by",
        f"{stopped['sequence_moved']}, {stopped['gaps_afterwards']} afterwards, and its sequence "
        + ("goes on." if stopped["sequence_goes_on"] else "has ended."),
    ]
    return lines


def dated(command: str) -> list[str]:
    """When, of which commit, by what and on what."""
    return [
        f"Run on {today()} at commit {commit()} by `{command}`, on a",
        "virtual machine with two cores that is shared: the ratios count, the microseconds are of that hour. CPython",
        f"{platform.python_version()}, {versions(*LIBRARIES)}, libzmq {zmq.zmq_version()}.",
    ]
