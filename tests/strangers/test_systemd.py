"""systemd itself reads our unit, and a real manager starts, watches and stops a station by it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.cli.systemd import Wanted, unit
from controller.services import host
from hal.clock import NS, Deadline, RealClock

pytestmark = pytest.mark.stranger

ROOT = Path(host.__file__).parents[2]
GROUPS = [path for path in (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified")) if path.is_dir()]
# what needs a system manager, or would hide the test's own folder
SYSTEM_ONLY = r"User|Group|SupplementaryGroups|StateDirectory\w*|CacheDirectory|PrivateTmp|Protect\w+"
EXPOSURE_MAX = 3.0  # of 10, as systemd-analyze counts; a unit without any hardening has 9.6
TOY = """
import ctypes

import numba

from controller.bus.port import Reply
from controller.services.service import Service


def rig(path, addresses):
    return {}


class Toy(Service):
    name = "toy"
    period_s = 0.02

    def cycle(self):
        for request in self.port.requests():
            self.port.answer(request, Reply("", "done"))

    def close(self):
        with open(self.run_dir / "closed", "a") as file:
            print("in good order", file=file)


def toy(clock, port, rig, run_dir):
    numba.njit(lambda x: x + 1)(1)  # the unit must allow to compile, and to ask how well UTC is known
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(208)) < 0:
        raise OSError(ctypes.get_errno(), "adjtimex")
    service = Toy(clock, port)
    service.run_dir = run_dir
    return service
"""
STATION = """
import sys
from pathlib import Path
from controller.services.realtime import run_station

raise SystemExit(
    run_station(
        {"first": "boresight_manager_toy:toy"},
        Path("toy.toml"),
        {},
        Path(sys.argv[1]),
        loader="boresight_manager_toy:rig",
        base_port=int(sys.argv[2]),
        services=("supervisor", "first"),
        tell=lambda sentence: print(sentence, flush=True),
    )
)
"""
# A user's own manager in a mount namespace and a control group of its own: it may not see, or touch, anybody else's.
SHELL = """
for hierarchy in {groups}; do mkdir -p $hierarchy/{group} && echo $$ > $hierarchy/{group}/cgroup.procs || exit 9; done
mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system {runtime} || exit 9
exec /lib/systemd/systemd --user
"""


def test_systemd_finds_nothing_wrong_with_the_unit(program: Callable[[str, str], str], tmp_path: Path) -> None:
    path = tmp_path / "boresight.service"
    path.write_text(unit(Wanted(program=Path(sys.executable))))
    done = subprocess.run(
        [program("systemd-analyze", "systemd"), "verify", str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_systemd_finds_a_key_that_is_wrong(program: Callable[[str, str], str], tmp_path: Path) -> None:
    path = tmp_path / "boresight.service"
    path.write_text(unit(Wanted(program=Path(sys.executable))).replace("WatchdogSec=", "WatchdogSecs="))
    done = subprocess.run(
        [program("systemd-analyze", "systemd"), "verify", str(path)], capture_output=True, text=True, check=False
    )
    assert "WatchdogSecs" in done.stderr


def test_systemd_counts_little_exposure(program: Callable[[str, str], str], tmp_path: Path) -> None:
    path = tmp_path / "boresight.service"
    path.write_text(unit(Wanted(program=Path(sys.executable))))
    command = [program("systemd-analyze", "systemd"), "security", "--offline=yes", "--no-pager", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None
    assert float(found[1]) < EXPOSURE_MAX


class Manager:
    """A user's own systemd, with the station's unit in it."""

    def __init__(self, folder: Path, base_port: int) -> None:
        self.folder, self.clock = folder, RealClock()
        self.run_dir, self.runtime = folder / "run", Path("/run/user") / str(os.getuid())
        (folder / "boresight_manager_toy.py").write_text(TOY)
        units = folder / "home/.config/systemd/user"
        units.mkdir(parents=True)
        text = unit(Wanted(program=Path(sys.executable)))
        text = re.sub(rf"(?m)^({SYSTEM_ONLY})=.*\n", "", text)
        (folder / "station.py").write_text(STATION)
        command = f"{sys.executable} {folder / 'station.py'} {self.run_dir} {base_port}"
        text = re.sub(r"(?m)^ExecStart=.*$", f"ExecStart={command}", text)
        text = re.sub(r"(?m)^WorkingDirectory=.*$", f"WorkingDirectory={folder}", text)
        text = re.sub(r"(?m)^Environment=.*$", f"Environment=PYTHONPATH={folder}:{ROOT}", text)
        text = text.replace("Type=notify", f"Type=notify\nStandardOutput=append:{folder}/unit.log")
        text = text.replace("WatchdogSec=30", "WatchdogSec=3").replace("RestartSec=10", "RestartSec=1")
        (units / "boresight.service").write_text(text)
        self.group = f"boresight-test-{os.getpid()}"
        shell = SHELL.format(groups=" ".join(map(str, GROUPS)), group=self.group, runtime=self.runtime)
        self.environment = {**os.environ, "HOME": str(folder / "home"), "XDG_RUNTIME_DIR": str(self.runtime)}
        self.log = (folder / "manager.log").open("wb")
        command_line = ["unshare", "--mount", "sh", "-c", shell]
        self.process = subprocess.Popen(command_line, env=self.environment, stdout=self.log, stderr=self.log)

    def ask(self, *words: str) -> str:
        """systemctl, where the manager lives."""
        command = ["nsenter", "--mount", f"--target={self.process.pid}", "systemctl", "--user", "--no-pager", *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=30)
        return done.stdout.strip() + done.stderr.strip()

    def show(self, key: str) -> str:
        return self.ask("show", "--property", key, "--value", "boresight")

    def until(self, condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
        deadline = Deadline(self.clock, timeout_s)
        while not condition():
            assert not deadline.expired, self.ask("status", "boresight") + (self.folder / "manager.log").read_text()
            self.clock.sleep_until(self.clock.now_ns() + NS // 10)

    def close(self) -> None:
        self.ask("kill", "--signal=SIGKILL", "--kill-whom=all", "boresight")
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        for group in GROUPS:
            for path in sorted((group / self.group).rglob("*"), reverse=True):
                if path.is_dir():
                    path.rmdir()
            if (group / self.group).is_dir():
                (group / self.group).rmdir()


@pytest.fixture
def manager(
    tmp_path: Path, program: Callable[[str, str], str], free_base_port: Callable[[int], int]
) -> Iterator[Manager]:
    program("unshare", "util-linux")
    if not GROUPS or not all(os.access(group, os.W_OK) for group in GROUPS):
        pytest.skip("no control group of this machine can be written: a service manager cannot run here")
    made = Manager(tmp_path, free_base_port(1 + 3 * 2))
    try:
        made.until(lambda: made.ask("is-system-running") in {"running", "degraded"})
        yield made
    finally:
        made.close()


def test_a_real_manager_starts_watches_and_stops_a_station(manager: Manager) -> None:
    assert manager.ask("start", "boresight") == "", manager.ask("status", "boresight")  # it returns when it is ready
    assert manager.show("ActiveState") == "active"
    manager.until(lambda: manager.show("StatusText") == "no mode; every service runs")
    first = manager.show("MainPID")

    os.kill(int(first), signal.SIGSTOP)  # the supervisor hangs, and its services with it are left to themselves
    manager.until(lambda: manager.show("NRestarts") != "0" and manager.show("ActiveState") == "active")
    assert manager.show("MainPID") != first
    assert (manager.run_dir / "closed").read_text().splitlines() == ["in good order"], "the service of the first start"

    assert manager.ask("stop", "boresight") == ""
    assert (manager.show("ActiveState"), manager.show("Result")) == ("inactive", "success")
    assert (manager.run_dir / "closed").read_text().splitlines() == ["in good order"] * 2
