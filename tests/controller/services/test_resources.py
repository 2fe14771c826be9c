"""What a process takes is what the kernel says of it, and each crossing of a limit is told once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

from controller.services.resources import SETTLING_NS, Usage, Watch, usage
from controller.services.rules import DEFAULT_RULES
from hal.clock import NS

MB = 10**6
RULES = replace(
    DEFAULT_RULES,
    memory_told_bytes=100e6,
    memory_max_bytes=200e6,
    memory_growth_told_bytes_h=50e6,
    open_files_told=40,
)


def codes(watch: Watch, now_s: float, resident_mb: float, open_files: int = 10) -> list[str]:
    used = Usage(round(resident_mb * MB), open_files, 4)
    return [finding.code for finding in watch.see(round(now_s * NS), used)]


def test_a_crossing_is_told_once_until_it_is_left_by_a_tenth() -> None:
    watch = Watch(RULES, 0)
    told = [codes(watch, n, mb) for n, mb in enumerate((99, 101, 150, 95, 101, 89, 101))]
    assert told == [[], ["MEMORY"], [], [], [], [], ["MEMORY"]]
    assert [codes(watch, 10 + n, 95, files) for n, files in enumerate((40, 41, 39, 41, 30, 41))] == [
        [],
        ["OPEN_FILES"],
        [],
        [],
        [],
        ["OPEN_FILES"],
    ]


def test_more_than_the_maximum_is_told_as_what_ends_the_service() -> None:
    watch = Watch(RULES, 0)
    (finding,) = watch.see(NS, Usage(201 * MB, 10, 4))
    assert finding.code == "MEMORY_MAX"
    assert finding.sentence == "takes 201 MB, more than 200 MB"


def test_a_slow_leak_is_told_with_the_hours_that_are_left_and_a_noisy_level_is_not() -> None:
    leaks, steady = Watch(RULES, 0), Watch(RULES, 0)
    found = []
    for minute in range(120):
        now_ns = SETTLING_NS + minute * 60 * NS
        found += leaks.see(now_ns, Usage(round((40 + minute) * MB), 10, 4))  # 60 MB an hour
        assert steady.see(now_ns, Usage((40 + minute % 7) * MB, 10, 4)) == []
    sentences = {finding.code: finding.sentence for finding in found}
    assert len(found) == 2, "each once"
    assert sentences["MEMORY_GROWS"] == "grows by 60 MB an hour: 2 h are left until it is ended"
    assert abs(leaks.growth_bytes_h - 60e6) < 1
    assert set(sentences) == {"MEMORY_GROWS", "MEMORY"}


def test_what_a_service_loads_after_its_start_is_no_leak() -> None:
    watch = Watch(RULES, 0)
    for second in range(SETTLING_NS // NS):
        assert codes(watch, second, 20 + second / 20) == []
    for minute in range(60):
        assert codes(watch, SETTLING_NS / NS + minute * 60, 50) == []


def test_usage_is_what_the_kernel_tells_of_this_process(tmp_path: Path) -> None:
    before = usage(os.getpid())
    assert before is not None
    # Source: getrusage(2) as another counter of the same; its maximum is in KiB and never below the present.
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    assert abs(before.resident_bytes / 1024 - int(status["VmRSS"].split()[0])) < 20_000
    held = [open(os.devnull) for _ in range(25)]  # noqa: SIM115
    release = threading.Event()
    waiting = threading.Thread(target=release.wait)
    waiting.start()
    after = usage(os.getpid())
    release.set()
    waiting.join()
    for file in held:
        file.close()
    assert after is not None
    assert (after.open_files - before.open_files, after.threads - before.threads) == (25, 1)


def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert usage(process.pid) is None
