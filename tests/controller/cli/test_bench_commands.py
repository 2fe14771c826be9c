"""Jog, home, poke and frames as a bench engineer types them, on emulated devices in real time."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mount_on_pty import MountOnPty
from mount_on_pty import mount as mount

from controller.cli import main
from controller.cli.connect import DEFAULT_RIG
from hal.clock import NS, RealClock

RIGHT, DOWN = b"\x1b[C", b"\x1b[B"
REPEAT_NS = NS // 25  # of a held key
CUT_OFF_S = 0.5  # the design's bound for zero motion after a death


def rig_for(folder: Path, port: str) -> Path:
    """The built-in rig with its gimbal at a port, and no Sun: these tests run at any hour."""
    text = DEFAULT_RIG.read_text(encoding="utf-8").replace("sun_cone_deg = 30.0", "sun_cone_deg = 0.0")
    at = text.index("[gimbal]")
    path = folder / "rig.toml"
    path.write_text(text[:at] + text[at:].replace('resource = "emulated"', f'resource = "{port}"', 1))
    return path


class JogOnTerminal:
    """`boresight rig jog` on a terminal of its own."""

    def __init__(self, rig: Path, run_dir: Path) -> None:
        self.keyboard, terminal = pty.openpty()
        command = ["rig", "jog", "--rig", str(rig), "--run-dir", str(run_dir), "--speed", "1", "--yes"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "controller.cli", *command],
            stdin=terminal,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        os.close(terminal)

    def ready(self) -> bool:
        """True once it shows the first position."""
        assert self.process.stderr is not None
        seen = b""
        while b"azimuth " not in seen and (more := os.read(self.process.stderr.fileno(), 4096)):
            seen += more
        return b"azimuth " in seen

    def hold(self, key: bytes, seconds: float) -> None:
        clock = RealClock()
        end_ns = clock.now_ns() + round(seconds * NS)
        while clock.now_ns() < end_ns:
            os.write(self.keyboard, key)
            clock.sleep_until(clock.now_ns() + REPEAT_NS)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        os.close(self.keyboard)


@pytest.fixture
def terminal(mount: MountOnPty, tmp_path: Path) -> Iterator[JogOnTerminal]:
    terminal = JogOnTerminal(rig_for(tmp_path, mount.port.resource), tmp_path / "run")
    yield terminal
    terminal.close()


def resting(mount: MountOnPty) -> bool:
    return mount.rate == [0.0, 0.0]


def test_the_mount_turns_while_a_key_is_held_and_stops_when_it_is_let_go(
    mount: MountOnPty, terminal: JogOnTerminal
) -> None:
    assert terminal.ready()
    terminal.hold(RIGHT, 1.0)
    assert mount.rate[0] > 0
    assert mount.wait_until(lambda: resting(mount), 2.0)
    os.write(terminal.keyboard, b"q")
    assert terminal.process.wait(10) == 0


@pytest.mark.parametrize("key", [b"\x1a", b"\x03"], ids=["suspend", "interrupt"])
def test_a_key_that_would_suspend_or_interrupt_ends_the_jog_at_rest(
    mount: MountOnPty, terminal: JogOnTerminal, key: bytes
) -> None:
    assert terminal.ready()
    terminal.hold(DOWN, 0.6)
    os.write(terminal.keyboard, key)
    assert terminal.process.wait(10) == 0
    assert resting(mount)


def test_a_jog_that_is_killed_leaves_no_mount_in_motion(mount: MountOnPty, terminal: JogOnTerminal) -> None:
    assert terminal.ready()
    terminal.hold(RIGHT, 0.6)
    assert mount.rate[0] > 0
    killed_ns = RealClock().now_ns()
    os.kill(terminal.process.pid, signal.SIGKILL)
    assert mount.wait_until(lambda: resting(mount), 3.0)
    assert (mount.stopped_ns - killed_ns) / NS < CUT_OFF_S


def test_without_a_terminal_nothing_is_jogged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["rig", "jog", "--rig", str(rig_for(tmp_path, "serial:///dev/no_such_port")), "--yes"])
    assert "a key that is held is the dead-man" in capsys.readouterr().err


def test_a_real_mount_is_not_driven_before_somebody_has_confirmed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["rig", "home", "--rig", str(rig_for(tmp_path, "serial:///dev/no_such_port"))])
    told = capsys.readouterr().err
    assert "will turn at up to 1 deg/s" in told
    assert "say --yes" in told


def test_a_lost_encoder_zero_is_found_on_the_mark(
    mount: MountOnPty, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["rig", "home", "--rig", str(rig_for(tmp_path, mount.port.resource)), "--run-dir", str(tmp_path), "--json"]
    main([*home, "--set-mark"])
    main([*home, "--check"])
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said[0]["azimuth_deg"] == pytest.approx(178, abs=0.01)
    assert said[1]["off_mark_deg"] == pytest.approx([0, 0], abs=0.001)
    mount.angle[1] += 0.02  # a clutch slipped
    with pytest.raises(SystemExit):
        main([*home, "--check"])
    assert "lost their zero by +0.000 deg in azimuth and +1.146 deg in elevation" in capsys.readouterr().err


def test_home_drives_to_the_mark(mount: MountOnPty, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig = rig_for(tmp_path, mount.port.resource)
    (tmp_path / "mark.toml").write_text("azimuth_deg = 179.0\nelevation_deg = 43.5\n")
    main(["rig", "home", "--rig", str(rig), "--run-dir", str(tmp_path), "--speed", "3", "--yes", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["off_mark_deg"] == pytest.approx([0, 0], abs=0.02)
    assert mount.wait_until(lambda: resting(mount), 2.0)


def test_a_device_that_is_emulated_and_not_served_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["poke"], ["frames", "dark"], ["home"]):
        with pytest.raises(SystemExit):
            main(["rig", *words, "--run-dir", str(tmp_path)])
        assert "no emulator serves it; start one with `boresight emulate" in capsys.readouterr().err


def test_poke_and_frames_work_on_the_emulated_bench_and_say_what_is_missing_on_it(
    emulated_run_dir: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = emulated_run_dir()
    main(["rig", "poke", "--dark", "--json", "--run-dir", str(run_dir)])
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["simulated"]
    for axis in told["mirror"]:
        assert [900 < mode["frequency_hz"] < 3000 for mode in axis["modes"]] == [True, True]
        assert axis["misfit"] < 0.05
    with pytest.raises(SystemExit):
        main(["rig", "poke", "--run-dir", str(run_dir)])
    assert "check that the beacon is on the quad cell" in capsys.readouterr().err
    main(["rig", "frames", "dark", "--count", "5", "--json", "--run-dir", str(run_dir)])
    frame = json.loads(capsys.readouterr().out)
    assert (frame["width_px"], frame["height_px"], frame["count"]) == (1024, 1024, 5)
    assert Path(frame["picture"]).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit):
        main(["rig", "frames", "flat", "--count", "3", "--run-dir", str(run_dir)])
    assert "use more light" in capsys.readouterr().err
    main(["rig", "freeze", str(DEFAULT_RIG), "--ask", "--json", "--run-dir", str(run_dir)])
    said = json.loads(capsys.readouterr().out)["devices"]
    assert said["laser"]["model"] == "ITC4005"
    assert said["beam_board"]["dictionary"]["tick_rate_hz"] == 10_000


@pytest.fixture
def emulated_run_dir(tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """Starts `boresight emulate` in a process of its own; gives its run directory once it serves."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> Path:
        run_dir, clock = tmp_path / "emulated", RealClock()
        with (tmp_path / "emulate.log").open("wb") as log:
            command = [sys.executable, "-m", "controller.cli", "emulate", "--run-dir", str(run_dir)]
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        deadline_ns = clock.now_ns() + 60 * NS
        while not (run_dir / "addresses.json").exists():
            assert clock.now_ns() < deadline_ns, (tmp_path / "emulate.log").read_text()
            clock.sleep_until(clock.now_ns() + NS // 20)
        return run_dir

    yield start
    for process in started:
        process.terminate()
        process.wait(30)
