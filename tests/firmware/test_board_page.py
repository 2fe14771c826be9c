"""docs/beam-board.md says what the board says of itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[2] / "docs" / "beam-board.md").read_text()


def test_every_command_of_the_board_is_in_the_table_with_its_number(bare: Any) -> None:
    told = {(row["id"], row["name"]) for row in bare.dictionary()["commands"] if row}
    assert set(re.findall(r"^\| (0x..) \| `(\w+)` \|", PAGE, re.MULTILINE)) == told


def test_every_parameter_channel_and_mode_is_named(bare: Any) -> None:
    for table in ("parameters", "channels", "modes"):
        for name in bare.names(table):
            assert f"`{name}`" in PAGE


def test_the_pages_worked_frame_is_answered(bare: Any) -> None:
    (worked,) = re.findall(r"sequence 1 is `([0-9A-F ]+)`", PAGE)
    assert bare.send(bytes.fromhex(worked))[6] == 0x81
