"""Whether recordings open, have their index, and hold every message: `python -m benchmarks.soak.recordings FILE...`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mcap.records import Channel, Message

from controller.record import finished, parts_of
from controller.record.frames import whole_records


def examine(path: Path) -> dict[str, Any]:
    """Messages, sequence gaps by topic, and whether the file was finished. Bodies are read by those who need them."""
    channels: dict[int, tuple[str, str]] = {}
    last: dict[int, int] = {}
    missing: Counter[str] = Counter()
    messages = told = 0
    first: dict[int, int] = {}
    for record in whole_records(path):
        if isinstance(record, Channel):
            channels[record.id] = (record.topic, record.metadata.get("source", ""))
        elif isinstance(record, Message):
            messages += 1
            at, before = record.channel_id, last.get(record.channel_id)
            first.setdefault(at, record.sequence)
            if before is not None and record.sequence > before + 1:
                missing[channels[at][0]] += record.sequence - before - 1
            last[at] = record.sequence
            if channels[at] == ("station/event", "recorder"):
                event = json.loads(record.data)
                told += int(event["message"].split()[0]) if event["code"] == "GAPS" else 0
    return {
        "file": path.name,
        "finished": finished(path),
        "messages": messages,
        "missing": dict(missing),
        "told": told,
        "first": {"|".join(channels[at]): seq for at, seq in first.items()},
        "last": {"|".join(channels[at]): seq for at, seq in last.items()},
    }


def between(parts: Iterable[dict[str, Any]]) -> Counter[str]:
    """Messages that are missing in and between the files of one run, in order, by topic."""
    missing: Counter[str] = Counter()
    last: dict[str, int] = {}
    for part in parts:
        missing.update(part["missing"])
        for key, first in part["first"].items():
            if key in last and first > last[key] + 1:
                missing[key.split("|")[0]] += first - last[key] - 1
        last.update(part["last"])
    return missing


def look_at(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Every recording of a folder, and what is wrong with them: in a file, and between those of one recorder's life."""
    parts, problems, seen = [], [], set[Path]()
    for first in sorted(folder.glob("*.mcap"), key=lambda path: path.stem):  # a first file before those that follow
        if first in seen:
            continue
        paths = parts_of(first)
        seen.update(paths)
        run = [examine(path) for path in paths]
        parts += run
        problems += [f"{part['file']} has no index" for part in run if not part["finished"]]
        missing, told = between(run), sum(part["told"] for part in run)
        if missing.total() > told:
            problems.append(f"{first.name} and what follows lack {dict(missing)}, {told} were counted")
    return parts, problems


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(json.dumps(examine(Path(name))), flush=True)
