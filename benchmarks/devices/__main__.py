"""Our drivers of gimbals: commands a second beside Hamlib's backends, and tracking error beside their resolution.

`python -m benchmarks.devices [--json] [--only NAME] [--skip-tracking] [--page]`; Hamlib is Debian's libhamlib4. The
commands of both go to one emulator that is not paced; the pass is flown in simulated time, on paced lines.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from benchmarks.checkout import commit
from benchmarks.devices import speed
from benchmarks.devices.families import FAMILIES
from benchmarks.devices.hamlib import version
from benchmarks.devices.page import rows, write_page


def main() -> None:
    """Measure, and say it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.devices", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--only", choices=FAMILIES, action="append", help="may be repeated")
    parser.add_argument("--skip-tracking", action="store_true", help="commands a second alone")
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks-devices.md")
    options = parser.parse_args()
    names = options.only or list(FAMILIES)
    ran = commit()

    def tell(name: str, found: dict[str, Any]) -> dict[str, Any]:
        print(f"{name}: {json.dumps(found)}", file=sys.stderr, flush=True)
        return found

    spoken = [name for name in names if FAMILIES[name].model is not None]
    result: dict[str, Any] = {"commit": ran, "hamlib": version()}
    result["commands"] = {name: tell(name, speed.measure(name)) for name in spoken}
    if not options.skip_tracking:
        from benchmarks.devices import tracking

        result["pass"] = tracking.described()
        result["tracking"] = {name: tell(name, tracking.measure(name)) for name in names}
    if options.page:
        write_page(result)
    print(json.dumps(result, indent=2) if options.json else "\n".join(rows(result)))


if __name__ == "__main__":
    main()
