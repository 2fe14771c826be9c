"""docs/new-driver.md promises a driver with its emulator in at most 150 lines of code; its example keeps that."""

from __future__ import annotations

import ast
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 150
ROWS = 20  # hal/drivers.py, usb_ids.py, bench.py, docs/devices.py: a few lines each
BLANK = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(path: Path) -> int:
    """Lines that hold code: no blank lines, comments or docstrings."""
    with path.open("rb") as source:
        lines = {
            line
            for token in tokenize.tokenize(source.readline)
            if token.type not in BLANK | {tokenize.ENCODING}
            for line in range(token.start[0], token.end[0] + 1)
        }
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)


def rows_of(name: str) -> int:
    """Lines of the tables that name it."""
    tables = ("hal/drivers.py", "hal/usb_ids.py", "controller/cli/bench.py", "docs/devices.py")
    return sum(len(re.findall(name, (ROOT / table).read_text(), re.IGNORECASE)) for table in tables)


def test_the_example_of_the_page_is_at_most_150_lines_of_code_in_all() -> None:
    page = (ROOT / "docs" / "new-driver.md").read_text()
    files = re.findall(r"`((?:hal|sim_hw|tests)/\S*easycomm\.py)`", page)
    assert {"hal/devices/easycomm.py", "sim_hw/devices/easycomm.py"} <= set(files)
    written = sum(code_lines(ROOT / file) for file in ("hal/devices/easycomm.py", "sim_hw/devices/easycomm.py"))
    assert rows_of("easycomm") <= ROWS
    assert written + ROWS <= LIMIT
