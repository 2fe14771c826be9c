"""The soak: a station that flies a pass every half hour while random faults from the table befall it.

`python -m benchmarks.soak --lockstep [--hours 24]` in simulated time, `--realtime [--hours 1]` with real processes.
Exit code 1 when anything was unsafe, lost without a reason, missing, or growing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.checkout import commit
from benchmarks.soak.chance import Odds, draw
from benchmarks.soak.page import write_page
from benchmarks.soak.program import Flight, Outcome, Program
from benchmarks.soak.sky import BEGIN_NS, SLOT_NS, passes, rig_of

NS = 1_000_000_000
LEAD_NS = 180 * NS  # half a turn at 3 deg/s and the settling
ARC_NS = 200 * NS  # of a pass that is flown
LAST_NS = 25 * NS  # of it, in which nothing is broken: there is no time to come back
WARM_UP_S = 7200.0


def day(hours: float, seed: int) -> Program:
    """A pass every half hour."""
    count = round(hours * 2)
    flights = [
        Flight(plan, plan.target.rise_utc_ns - LEAD_NS, min(plan.target.rise_utc_ns + ARC_NS, plan.target.set_utc_ns))
        for plan in passes(rig_of(), count)
    ]
    end_ns = BEGIN_NS + count * SLOT_NS
    windows = [(flight.begin_ns, flight.end_ns - LAST_NS) for flight in flights]
    happenings = draw(seed, windows, end_ns - 60 * NS, Odds())
    return Program(flights, happenings, BEGIN_NS, end_ns, min(WARM_UP_S, hours * 3600 / 6))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--lockstep", action="store_true", help="in simulated time")
    which.add_argument("--realtime", action="store_true", help="with `boresight emulate` and `run` as processes")
    parser.add_argument(
        "--hours",
        type=float,
        help="of the station's time; default 24 in lockstep, 1 in real time, where less cannot judge memory",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wall-min", type=float, default=float("inf"), help="end after the pass under way then")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--page", action="store_true", help="write docs/soak.md")
    parser.add_argument("--keep", type=Path, help="folder for recordings and result; default: a temporary one")
    options = parser.parse_args()

    def tell(sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)

    kind, ran = "lockstep" if options.lockstep else "realtime", commit()

    def result_of(outcome: Outcome) -> dict[str, Any]:
        return {"kind": kind, "seed": options.seed, "commit": ran, **outcome.as_row()}

    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)

        def so_far(outcome: Outcome) -> None:
            """A soak that is cut off leaves what it has."""
            (folder / "result.json").write_text(json.dumps(result_of(outcome), indent=2) + "\n", encoding="utf-8")

        if options.lockstep:
            from benchmarks.soak.lockstep import Soak
            from benchmarks.soak.memory import give_back

            give_back()
            program = day(options.hours or 24.0, options.seed)
            outcome = Soak(program, folder, options.seed, options.wall_min * 60, tell, so_far).run()
        else:
            from benchmarks.soak.realtime import soak

            outcome = soak(options.hours or 1.0, folder, options.seed, tell, so_far)
        so_far(outcome)
    result = result_of(outcome)
    if options.page:
        write_page(result)
    if options.json:
        print(json.dumps(result, indent=2))
    for failure in result["failures"]:
        tell(f"FAILURE {failure}")
    raise SystemExit(1 if result["failures"] else 0)


if __name__ == "__main__":
    main()
