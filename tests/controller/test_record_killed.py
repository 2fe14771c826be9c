"""kill -9 of a real recorder process at random moments: every file opens, what is lost is younger than the bound."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.bus.endpoints import static_table
from controller.bus.socket_port import SocketPort
from controller.bus.topics import LINK_STATE, LinkState
from controller.cli.rig import emulated_devices
from controller.record import Recorded, finished, read_messages, recover_folder
from controller.record_service import LOSS_BOUND_NS
from controller.services.launch import Launch
from hal.clock import NS, Deadline, RealClock

EXAMPLE = Path("controller/data/rigs/ogs.toml")
PERIOD_NS = NS // 500
START_S = 60.0  # that a recorder may take on a busy machine; then it is asked where it hangs
START_NS = 3 * NS // 2  # in which it begins its file and mends the others
LIFE_NS = NS // 2  # at most, once it records: over several flushes and files


@pytest.fixture
def rig(tmp_path: Path, free_base_port: Callable[[int], int]) -> Path:
    """A rig with a bus of its own, whose recordings go on in a new file every 10 kB: about twice a life."""
    text = EXAMPLE.read_text(encoding="utf-8")
    text = re.sub(r"base_port = \d+", f"base_port = {free_base_port(1 + 3 * 8)}", text)
    path = tmp_path / "rig.toml"
    path.write_text(re.sub(r"file_max_mb = [\d.]+", "file_max_mb = 0.01", text), encoding="utf-8")
    return path


def links(file: Path) -> Iterator[Recorded]:
    return (message for message in read_messages(file) if message.topic == LINK_STATE.name)


class Killing:
    """Publishes every 2 ms while one recorder after another is killed."""

    def __init__(self, rig: Path, run_dir: Path, seed: int) -> None:
        base_port = int(re.findall(r"base_port = (\d+)", rig.read_text(encoding="utf-8"))[0])
        self.clock = RealClock()
        self.run_dir = run_dir
        self.port = SocketPort("link", self.clock, static_table(base_port=base_port))
        self._random = random.Random(seed)
        self._launch = Launch(
            service="recorder",
            factory="controller.cli.factories:recorder",
            rig=str(rig),
            run_dir=str(run_dir),
            addresses=dict.fromkeys(emulated_devices(rig), ""),
            base_port=base_port,
            parent=os.getpid(),
        )

    def publish_until(self, enough: Callable[[], bool]) -> int:
        """Publish on time; returns when the last message was sent, in UTC nanoseconds."""
        due_ns, sent_ns = self.clock.now_ns(), 0
        while not enough():
            sent_ns = self.clock.utc_ns()
            self.port.requests()
            self.port.publish(LINK_STATE, LinkState(sent_ns, 1e-6, 1e-7, above=True))
            due_ns += PERIOD_NS
            self.clock.sleep_until(due_ns)
        return sent_ns

    def kill_one(self, starting: bool) -> int:
        """Start a recorder and kill it at a random moment of its start or of its life; returns what was lost, in ns."""
        before = set(self.run_dir.glob("*.mcap"))
        command = [sys.executable, "-X", "faulthandler", "-m", "controller.services.host", self._launch.encode()]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            try:
                if starting:
                    end_ns = self.clock.now_ns() + self._random.randrange(START_NS)
                    self.publish_until(lambda: self.clock.now_ns() >= end_ns)
                    assert process.poll() is None, "it ended by itself"
                    return 0
                deadline = Deadline(self.clock, START_S)
                self.publish_until(lambda: self._recorded(before) or process.poll() is not None or deadline.expired)
                if not self._recorded(before):
                    process.send_signal(signal.SIGABRT)
                    pytest.fail(f"it does not record; it was at: {process.communicate()[1].decode()}")
                end_ns = self.clock.now_ns() + self._random.randrange(LIFE_NS)
                died_ns = self.publish_until(lambda: self.clock.now_ns() >= end_ns)
            finally:
                process.kill()  # SIGKILL
        files = set(self.run_dir.glob("*.mcap")) - before
        return died_ns - max(message.log_time_ns for file in files for message in links(file))

    def _recorded(self, before: set[Path]) -> bool:
        new = set(self.run_dir.glob("*.mcap")) - before
        return any(True for file in new for _ in links(file))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.campaign)])
def test_after_kill_9_every_file_opens_and_the_loss_is_inside_the_bound(
    kills: int, rig: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    killing = Killing(rig, run_dir, seed=kills)
    losses_ns, cut_off = [], 0
    try:
        for number in range(kills):
            losses_ns.append(killing.kill_one(starting=number % 5 == 4))
            cut_off += sum(not finished(file) for file in run_dir.glob("*.mcap"))
    finally:
        killing.port.close()
    record_property("losses_ms", sorted(round(loss_ns * 1e-6) for loss_ns in losses_ns))
    assert max(losses_ns) <= LOSS_BOUND_NS
    assert cut_off >= kills * 4 / 5, "each was killed in the middle of a file"
    files = sorted(run_dir.glob("*.mcap"))
    assert sum(finished(file) for file in files) > kills / 2, "the next recorder mended them"
    recover_folder(run_dir)
    assert len(files) > kills, "some went on in a second file"
    for file in files:
        assert finished(file)
        seqs = [message.seq for message in links(file)]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) if seqs else True, "nothing is missing before the end"
