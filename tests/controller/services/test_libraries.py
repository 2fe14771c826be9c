"""What a service needs in flight is in memory before: its libraries' pages, late modules, memory to take."""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

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


def said_by(program: str) -> str:
    """What a Python of its own prints."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(("service", "part"), [("tracking", "numpy.fft"), ("pointing", "numpy.ma")])
def test_what_numpy_loads_when_it_is_first_asked_for_is_there_before_a_pass(service: str, part: str) -> None:
    assert said_by(f"import sys, controller.{service}.service; print({part!r} in sys.modules)") == "True"


TAKE = """
import resource
from controller.services.host import keep_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def take():
    before = faults()
    taken = [bytes(448) for _ in range(1500)]
    return faults() - before

loaded = [bytes(400) for _ in range({loaded})]
first = take()
keep_memory()
print(first, take())
"""


@pytest.mark.parametrize("loaded", [0, 500, 1000, 1500, 2000])
def test_a_loop_that_takes_memory_after_it_was_kept_waits_for_no_page(loaded: int) -> None:
    """700 kB in small objects are some 170 pages of 4 kB, however full Python's maps are by then."""
    first, kept = map(int, said_by(TAKE.format(loaded=loaded)).split())
    assert first > 50
    assert kept < 20
