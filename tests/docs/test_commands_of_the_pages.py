"""Every command that a page tells a reader to type is one that the program takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from controller.cli import build

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
INLINE = re.compile(r"`(?:\.venv/bin/)?(boresight [^`<]+)`")
BLOCK = re.compile(r"^    (?:\.venv/bin/)?(boresight [^#>&\n]+)", re.M)
MAKE = re.compile(r"(?:`|^    )make ([a-z-]+)", re.M)


def typed() -> list[tuple[str, str]]:
    """Page and command line, as written."""
    found = []
    for page in PAGES:
        text = re.sub(r"^#.*$", "", page.read_text(encoding="utf-8"), flags=re.M)  # headings show placeholders
        found += [(page.name, line.strip()) for pattern in (INLINE, BLOCK) for line in pattern.findall(text)]
    return found


def test_pages_hold_commands() -> None:
    assert len(typed()) > 20


@pytest.mark.parametrize(("page", "line"), typed())
def test_a_command_of_a_page_is_understood(page: str, line: str) -> None:
    group: Any = typer.main.get_command(build())
    words = shlex.split(line)[1:]
    context = group.make_context("boresight", words)
    _, command, rest = group.resolve_command(context, words)
    while hasattr(command, "commands"):
        inner = command.make_context(rest[0], rest)
        _, command, rest = command.resolve_command(inner, rest)
    if rest:  # a verb that is only named needs no arguments
        command.make_context(words[0], rest)


def test_every_target_of_make_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))
    named = {name for page in PAGES for name in MAKE.findall(page.read_text(encoding="utf-8"))}
    assert {"demo", "test"} <= named
    assert named <= targets
