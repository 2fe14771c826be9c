"""The tests that are too long for CI: all that are marked `campaign`, run to the end.

`python -m benchmarks.long_tests [-k WORDS]` writes docs/long-tests.md, dated, naming the commit; with WORDS the rows of
tests that were not run stay as they are. Exit code 1 when one of them fails.
"""

from __future__ import annotations

import argparse
import ast
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.checkout import ROOT, commit, today

PAGE = ROOT / "docs" / "long-tests.md"
HEAD = (
    "# Long tests",
    "",
    "`python -m benchmarks.long_tests` runs the tests that are too long for CI; each is named as what it proves.",
    "",
    "| test | outcome | seconds | measured | date | commit |",
    "|---|---|---|---|---|---|",
)


def row(case: ElementTree.Element, stamp: str) -> tuple[str, str]:
    """Name of a test, and its row of the table."""
    module = case.get("classname", "").replace("tests.", "", 1)
    sentence = case.get("name", "").removeprefix("test_").replace("_", " ")
    name = f"{module}: {sentence}"
    kinds = {child.tag for child in case}
    outcome = "FAILED" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
    told = "; ".join(measured(p.get("name", ""), p.get("value", "")) for p in case.iter("property"))
    return name, f"| {name} | {outcome} | {float(case.get('time', 0)):.0f} | {told} | {stamp} |"


def measured(name: str, value: str) -> str:
    """A recorded property; of many numbers how many, their median and the largest."""
    try:
        numbers = [float(number) for number in ast.literal_eval(value)]
    except (ValueError, TypeError, SyntaxError):
        return f"{name} {value}"
    if not numbers:
        return f"{name}: none"
    return f"{name}: {len(numbers)}, median {statistics.median(numbers):g}, at most {max(numbers):g}"


def kept_rows() -> dict[str, str]:
    """The rows that the page has now, by name."""
    lines = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    return {line.split("|")[1].strip(): line for line in lines[len(HEAD) :] if line.startswith("| ")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", dest="words", default="", help="only tests whose names have these words, as for pytest")
    options = parser.parse_args()
    stamp = f"{today()} | {commit()}"
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-m",
            "campaign",
            "-v",
            "-o",
            "junit_family=xunit1",
            f"--junitxml={told}",
        ]
        ended = subprocess.run([*command, *(["-k", options.words] if options.words else [])], cwd=ROOT, check=False)
        if not told.exists():
            raise SystemExit("pytest did not run; what it said stands above.")
        cases = [row(case, stamp) for case in ElementTree.parse(told).getroot().iter("testcase")]
    rows = (kept_rows() if options.words else {}) | dict(cases)
    PAGE.write_text("\n".join([*HEAD, *(rows[name] for name in sorted(rows))]) + "\n", encoding="utf-8")
    print(f"written: {PAGE}")
    raise SystemExit(ended.returncode)


if __name__ == "__main__":
    main()
