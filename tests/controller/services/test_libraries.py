"""The program's own pages are in memory before they are needed."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from controller.services.libraries import file_pages, read_libraries

MAPS = """\
00400000-00401000 r--p 00000000 fe:00 263    /usr/bin/python3
00401000-00600000 r-xp 00001000 fe:00 263    /usr/bin/python3
00600000-00602000 rw-p 00200000 fe:00 263    /usr/bin/python3
7f0000000000-7f0000021000 rw-p 00000000 00:00 0
7f0000021000-7f0000022000 r--p 00000000 00:00 0
7f0000100000-7f0000102000 r-xp 00003000 fe:00 77  /opt/a name (deleted)
7f0000200000-7f0000202000 r-xp 00003000 fe:00 78  /venv/llvmlite/binding/libllvmlite.so
7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0  [vdso]
"""


def test_code_and_constants_of_files_are_meant_and_neither_what_is_written_to_nor_the_compiler() -> None:
    pages = [(0x400000, 0x1000), (0x401000, 0x1FF000), (0x7F0000100000, 0x2000)]
    assert list(file_pages(MAPS.splitlines())) == pages


def resident_pages(start: int) -> int:
    """Of the mapping that begins there: what this process has in its page table. Source: proc_pid_smaps(5), Rss."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        if line.startswith(f"{start:x}-"):
            return next(int(after.split()[1]) * 1024 for after in lines if after.startswith("Rss:")) // mmap.PAGESIZE
    raise AssertionError(f"nothing is mapped at {start:x}")


def test_a_file_that_is_mapped_and_was_never_looked_at_is_in_memory_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "library"
    path.write_bytes(bytes(64 * mmap.PAGESIZE))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as mapped:
        start = np.frombuffer(mapped, np.uint8).ctypes.data  # without a look at its first byte
        assert resident_pages(start) == 0
        assert read_libraries() > 64 * mmap.PAGESIZE
        assert resident_pages(start) == 64
