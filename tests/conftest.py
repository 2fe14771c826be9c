"""What holds for every test.

Nothing may leak: a thread, socket, child process or priority that outlives its test fails it. And a test that fails
while its process was measured to be kept from running is played again, which the summary tells.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from _pytest.terminal import TerminalReporter
from being_kept import StandstillMeter

GRACE_S = 2.0
PLAYS_MAX = 3
WORKERS = 8  # more of pytest-xdist than that share their ports
PLAYED_AGAIN = "played again"
METER = pytest.StashKey[StandstillMeter]()
LONGEST = (
    "tests/faults/test_campaign.py",
    "tests/e2e/test_demo.py",
    "tests/controller/bus/test_crowds.py",
    "tests/strangers/test_systemd.py",
)


def open_sockets() -> set[str]:
    """Sockets and ptys of this process, by their kernel name."""
    names = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue  # closed while we looked
        if target.startswith(("socket:", "/dev/p")):
            names.add(target)
    return names


def children() -> set[str]:
    """Child processes of this process, without multiprocessing's own helper."""
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            pids = (task / "children").read_text().split()
        except OSError:
            continue
        for pid in pids:
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if b"resource_tracker" not in words:
                found.add(pid)
    return found


def end(pid: int) -> None:
    """End a child of this process and take its leave."""
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: who gets one last keeps the other workers waiting."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_configure(config: pytest.Config) -> None:
    config.stash[METER] = StandstillMeter()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[METER].close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Play a test; if it fails, and only if its process stood still meanwhile, play it again with new fixtures."""
    meter = item.config.stash[METER]
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for play in range(1, PLAYS_MAX + 1):
        before_s = meter.stood_still_s
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        kept_s = meter.stood_still_s - before_s
        failures = [report.longreprtext.rstrip() for report in reports if report.failed]
        if play == PLAYS_MAX or not kept_s or not failures or "pytest-timeout" in failures[0]:
            break  # what hung once has no alarm left to end it again
        lines = failures[0].splitlines()
        why = next((line for line in reversed(lines) if line.startswith("E ")), lines[-1])
        item.user_properties.append((PLAYED_AGAIN, f"{item.nodeid}: stood still for {kept_s:.2f} s; {why}"))
        item.session._setupstate.teardown_exact(None)
        item._initrequest()  # type: ignore[attr-defined]
        forget(reports)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    if any(report.failed for report in reports):
        forget(reports)
    return True


def forget(reports: list[pytest.TestReport]) -> None:
    """Let go of what a failed test left open: its traceback holds it, and the next one would be told of it."""
    reports.clear()
    sys.last_type = sys.last_value = sys.last_traceback = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Tell what was played again: nobody should have to guess how quiet the machine was."""
    reports = [report for some in terminalreporter.stats.values() for report in some if hasattr(report, "when")]
    told = [
        why
        for report in reports
        if report.when == "teardown"
        for name, why in report.user_properties
        if name == PLAYED_AGAIN
    ]
    if told:
        terminalreporter.section("played again, as the machine stood still")
        for why in told:
            terminalreporter.write_line(why)


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """Compare threads, sockets and children before and after the test."""
    threads, sockets, processes = set(threading.enumerate()), open_sockets(), children()
    policy = os.sched_getscheduler(0)
    yield
    for thread in set(threading.enumerate()) - threads:
        thread.join(GRACE_S)
    leaked = [f"thread {thread.name}" for thread in set(threading.enumerate()) - threads]
    if open_sockets() - sockets:
        gc.collect()  # an object in a reference cycle is not a leak
    leaked += [f"open {name}" for name in open_sockets() - sockets]
    for pid in children() - processes:
        leaked.append(f"process {pid}")
        end(int(pid))  # a guardian that is left stops whatever the next test has on the same pty
    if os.sched_getscheduler(0) != policy:  # a test worker that goes first starves the other
        leaked.append("another scheduling policy")
        os.sched_setscheduler(0, policy, os.sched_param(0))
    assert not leaked, f"the test leaves behind: {', '.join(leaked)}"


@pytest.fixture
def free_base_port() -> Callable[[int], int]:
    """Finds a base port with `count` free TCP ports from it, below the range that the kernel draws from.

    Each worker has a part of that range: between the look and the station's start no other test takes one.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    first, width = 10000, 20000 // WORKERS

    def find(count: int) -> int:
        while True:
            base = first + worker * width + random.randrange(width - count)
            with ExitStack() as held:
                try:
                    for port in range(base, base + count):
                        held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                except OSError:
                    continue
            return base

    return find
