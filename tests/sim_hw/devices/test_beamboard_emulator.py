"""The emulated beam board and the library that it is made of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sim_hw.devices.beamboard import IO_NAMES, BeamBoard
from sim_hw.devices.beamboard_library import PACKAGE, FirmwareLibraryError, find_library, open_library

HELLO_1 = bytes.fromhex("a55a0000010001 1d36")


def copy_checkout(to: Path) -> Path:
    """A package folder with the built library, and the firmware's sources beside it."""
    package = to / "sim_hw"
    package.mkdir()
    shutil.copy(find_library(), package)
    shutil.copytree(PACKAGE.parent / "firmware", to / "firmware")
    return package


def test_a_missing_library_says_that_a_compiler_is_needed(tmp_path: Path) -> None:
    with pytest.raises(FirmwareLibraryError, match=r"C compiler.*make venv"):
        open_library(tmp_path)


def test_a_library_built_from_other_sources_is_refused(tmp_path: Path) -> None:
    package = copy_checkout(tmp_path)
    open_library(package)
    with (tmp_path / "firmware" / "core" / "bs_loop.c").open("a") as source:
        source.write("/* edited after the build */\n")
    with pytest.raises(FirmwareLibraryError, match=r"other sources.*make venv"):
        open_library(package)


def test_without_sources_the_library_of_a_wheel_is_taken_as_it_is(tmp_path: Path) -> None:
    package = copy_checkout(tmp_path)
    shutil.rmtree(tmp_path / "firmware")
    open_library(package)


def test_the_names_of_the_io_structure_are_those_of_the_header() -> None:
    header = (PACKAGE.parent / "firmware" / "core" / "bs_board.h").read_text()
    body = header.split("typedef struct {", 1)[1].split("} bs_io_t;", 1)[0]
    names = [
        name.strip()
        for line in body.splitlines()
        if "float" in line
        for name in line.split("float", 1)[1].split(";", 1)[0].split(",")
    ]
    assert tuple(names) == IO_NAMES


def test_two_boards_do_not_share_state() -> None:
    first, second = BeamBoard(serial=1), BeamBoard(serial=2)
    answers: list[bytes] = []
    for board in (first, second):
        board.attach(answers.append)
        board.receive(HELLO_1)
    assert answers[0] != answers[1]  # each tells its own serial number
    first.tick(3)
    first.receive(HELLO_1)
    second.receive(HELLO_1)
    assert (answers[2][7], answers[3][7]) == (3, 0)  # ticks


def test_the_interlock_is_closed_until_it_is_opened() -> None:
    board = BeamBoard()
    assert board.io[IO_NAMES.index("interlock")] == 1.0
    board.set_interlock(False)
    assert board.io[IO_NAMES.index("interlock")] == 0.0
    assert not board.enable_line
