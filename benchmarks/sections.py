"""Pages of which each run writes one section: dated, and the others stay as they were."""

from __future__ import annotations

from pathlib import Path


def put_section(page: Path, head: str, title: str, lines: list[str]) -> None:
    """Put a second-level section in its place, or at the end, under the text that begins the page."""
    old = page.read_text(encoding="utf-8").split("\n## ")[1:] if page.exists() else []
    sections = {text.split("\n", 1)[0]: text.rstrip() for text in old}
    sections[title] = "\n".join([title, "", *lines]).rstrip()
    page.write_text("\n## ".join([head, *(text + "\n" for text in sections.values())]), encoding="utf-8")
