"""The command tree: headers with short and long forms, optional nodes, numeric suffixes, and paths between units."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sim_hw.devices.scpi.errors import ScpiError
from sim_hw.devices.scpi.values import mnemonic_forms

_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_MNEMONIC = re.compile(r"([A-Za-z_]+)(\d{0,3})$")

Query = Callable[[list[str]], str]
Action = Callable[[list[str]], None]


@dataclass(slots=True)
class Node:
    """One mnemonic; `children` has an entry for each accepted spelling and suffix."""

    children: dict[tuple[str, int], Node] = field(default_factory=dict)
    query: Query | None = None
    action: Action | None = None


def spellings(pattern: str) -> Iterator[str]:
    """The headers that a pattern of the manual stands for: `A[:B]:C` gives `A:B:C` and `A:C`."""
    optional = _OPTIONAL.search(pattern)
    if optional is None:
        yield pattern.strip(":")
        return
    yield from spellings(pattern[: optional.start()] + optional[1] + pattern[optional.end() :])
    yield from spellings(pattern[: optional.start()] + pattern[optional.end() :])


def add(root: Node, pattern: str, query: Query | None, action: Action | None) -> None:
    """Put a command under every spelling of its pattern."""
    for header in spellings(pattern):
        node = root
        for part in header.split(":"):
            name, suffix = _split(part)
            short, long = mnemonic_forms(name)
            child = node.children.get((short, suffix)) or Node()
            node.children[short, suffix] = node.children[long, suffix] = child
            node = child
        node.query, node.action = query, action


def find(root: Node, path: Node, header: str) -> tuple[Node, Node]:
    """The node that `header` names, and the path that the next unit of the message inherits. Raises -113."""
    node = path
    if header.startswith(":"):
        node, header = root, header[1:]
    parent = node
    for part in header.split(":"):
        name, suffix = _split(part)
        child = node.children.get((name.upper(), suffix))
        if child is None:
            raise ScpiError(-113, header)
        parent, node = node, child
    return node, parent


def _split(part: str) -> tuple[str, int]:
    match = _MNEMONIC.match(part)
    if match is None:
        raise ScpiError(-102, part)
    return match[1], int(match[2] or 1)
