"""What is wrong in a user's input is told as sentences with a non-zero exit, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from controller.bus.endpoints import static_table
from controller.bus.socket_port import SocketPort
from controller.bus.topics import STATION_MODE, ModeState
from controller.cli import main
from controller.cli.connect import DEFAULT_RIG
from controller.pointing.elements import built_in_elements
from hal.clock import NS, RealClock

RIG = DEFAULT_RIG.read_text(encoding="utf-8")
REAL = '[gimbal]\ndriver = "nexstar"\nresource = "serial:///dev/no-such-mount"'
EMULATED = '[gimbal]\ndriver = "nexstar"\nresource = "emulated"'


class Told(NamedTuple):
    """What a command said."""

    code: int
    out: str
    lines: list[str]  # of stderr


Command = Callable[..., Told]


@pytest.fixture
def boresight(capfd: pytest.CaptureFixture[str]) -> Command:
    """The command, as a terminal would show it."""

    def run(*words: object) -> Told:
        capfd.readouterr()
        policy = os.sched_getscheduler(0)
        try:
            main([str(word) for word in words])
            code = 0
        except SystemExit as end:
            code = int(str(end.code or 0))
        if os.sched_getscheduler(0) != policy:  # `run` goes first, and is a process of its own elsewhere
            os.sched_setscheduler(0, policy, os.sched_param(0))
        out, err = capfd.readouterr()
        return Told(code, out, err.splitlines())

    return run


@pytest.fixture
def rig(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes the shipped rig with one thing changed."""

    def write(old: str, new: str) -> Path:
        assert old in RIG
        path = tmp_path / "rig.toml"
        path.write_text(RIG.replace(old, new))
        return path

    return write


def checksummed(line: str) -> str:
    """A line of an element set with the checksum that it should have."""
    return line[:68] + str(sum(int(c) if c.isdigit() else c == "-" for c in line[:68]) % 10)


@pytest.fixture
def tle(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of element sets."""

    def write(*lines: str) -> Path:
        path = tmp_path / "set.tle"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


SATELLITE = built_in_elements()[0]
LINE1, LINE2 = SATELLITE.line1, SATELLITE.line2


def refused(told: Told, *words: str) -> None:
    """One sentence, on stderr alone, with these words."""
    assert told.code == 1
    assert told.out == ""
    (sentence,) = (line for line in told.lines if not line.startswith("compiling "))  # once on a new machine
    assert sentence.startswith("boresight: ")
    for word in words:
        assert word in sentence


# --- the rig file


def test_a_typo_in_a_rig_names_file_key_and_what_was_meant(boresight: Command, rig: Callable[..., Path]) -> None:
    file = rig("height_m", "hight_m")
    refused(boresight("demo", "--rig", file), str(file), "[station] hight_m", "did you mean height_m?")


def test_a_wrong_unit_is_told_as_one(boresight: Command, rig: Callable[..., Path]) -> None:
    file = rig("rate_max_deg_s = 3.0", "rate_max_rad_s = 0.05")
    refused(boresight("passes", "--rig", file), "[gimbal] rate_max_rad_s", "rate_max_deg_s", "unit is part of the name")


def test_an_unknown_driver_is_told_with_those_that_there_are(boresight: Command, rig: Callable[..., Path]) -> None:
    refused(boresight("status", "--rig", rig('"u3v"', '"u3w"')), "[camera] driver", '"u3w"', "did you mean u3v?")


def test_two_devices_on_one_port_are_told_by_name(boresight: Command, tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    both = RIG.replace(EMULATED, REAL).replace(
        'driver = "beamboard"\nresource = "emulated"', 'driver = "beamboard"\nresource = "serial:///dev/no-such-mount"'
    )
    file.write_text(both)
    refused(boresight("demo", "--rig", file), "[beam_board]", "the same port as [gimbal]", "each needs its own")


def test_every_mistake_of_a_rig_is_a_line_of_its_own(boresight: Command, rig: Callable[..., Path]) -> None:
    file = rig("[camera]\n", "[camera]\ncolour = 1\n[camra]\n")
    told = boresight("stop", "--rig", file)
    assert told.code == 1
    assert len(told.lines) > 1
    assert all(line.startswith(f"boresight: {file}: ") and line.endswith(".") for line in told.lines)


def test_a_rig_that_is_not_there_names_an_example(boresight: Command, tmp_path: Path) -> None:
    refused(boresight("demo", "--rig", tmp_path / "none.toml"), "none.toml", "no such rig file", "ogs.toml")


def test_a_rig_that_is_not_toml_says_where(boresight: Command, rig: Callable[..., Path]) -> None:
    refused(boresight("passes", "--rig", rig("[gimbal]", "[gimbal")), "is not TOML", "line ")


def test_a_rig_that_is_a_folder_is_told(boresight: Command, tmp_path: Path) -> None:
    refused(boresight("passes", "--rig", tmp_path), str(tmp_path), "cannot be read as a rig file")


# --- element sets


def test_a_bad_checksum_names_file_and_line(boresight: Command, tle: Callable[..., Path]) -> None:
    wrong = LINE1[:68] + str((int(LINE1[68]) + 1) % 10)
    refused(boresight("demo", "--tle", tle("SAT", wrong, LINE2)), "set.tle line 2", "bad checksum", "fetch it again")


def test_a_file_that_is_cut_off_is_told(boresight: Command, tle: Callable[..., Path]) -> None:
    refused(boresight("demo", "--tle", tle("SAT", LINE1)), "set.tle", "cut off")
    refused(boresight("passes", "--tle", tle("SAT", LINE1[:40])), "set.tle line 2", "40 columns instead of 69")


def test_a_missing_file_and_one_without_text_are_told(boresight: Command, tmp_path: Path) -> None:
    refused(boresight("demo", "--tle", tmp_path / "none.tle"), "none.tle does not exist")
    (tmp_path / "bytes.tle").write_bytes(bytes(range(256)))
    refused(boresight("passes", "--tle", tmp_path / "bytes.tle"), "bytes.tle is not text")


def test_an_epoch_before_all_tables_is_told_with_the_table(boresight: Command, tle: Callable[..., Path]) -> None:
    old = checksummed(LINE1[:18] + "70" + LINE1[20:])
    refused(boresight("demo", "--tle", tle("SAT", old, LINE2)), "no Earth orientation", "use newer elements")


def test_a_name_that_nearly_is_one_gets_the_nearest(boresight: Command) -> None:
    missing_digit = SATELLITE.name[:-1]
    refused(boresight("demo", "--target", missing_digit), f"no satellite named {missing_digit}", "did you mean")
    refused(boresight("demo", "--target", "zzz"), "no satellite named zzz", "`boresight passes`")


def test_a_satellite_that_never_rises_is_told_with_the_site(boresight: Command, tle: Callable[..., Path]) -> None:
    equatorial = checksummed(LINE2[:8] + "  0.0500" + LINE2[16:])
    file = tle("EQUATOR", LINE1, equatorial)
    for verb in ("demo", "passes"):
        refused(boresight(verb, "--tle", file), "EQUATOR never rises above 20 deg over ogs", "choose another target")


@pytest.fixture
def slow(rig: Callable[..., Path]) -> Path:
    """A rig whose mount is too slow for any of the built-in passes."""
    return rig("rate_max_deg_s = 3.0", "rate_max_deg_s = 0.1")


def test_a_pass_above_the_limits_is_refused_with_the_reason(boresight: Command, slow: Path, tmp_path: Path) -> None:
    told = boresight("demo", "--rig", slow, "--out", tmp_path / "out")
    refused(told, "azimuth would have to turn at", "more than 80% of the gimbal's 0.10 deg/s", "--above-limits")
    assert not (tmp_path / "out").exists()


# --- scenario, folders, resources, options


def test_an_unknown_scenario_is_told_with_what_there_is(boresight: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(boresight("demo", "--scenario", "stormy", "--out", out), "scenario stormy: no such file", "default")
    assert not out.exists()


def test_a_bench_with_a_wrong_scenario_leaves_no_run_directory(boresight: Command, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    told = boresight("emulate", "--scenario", "stormy", "--run-dir", run_dir)
    assert told.code == 1
    assert "scenario stormy: no such file" in told.lines[-1]
    assert not run_dir.exists()


def test_wrong_keys_of_a_scenario_are_a_line_each(boresight: Command, tmp_path: Path) -> None:
    file = tmp_path / "windy.toml"
    shipped = (Path(__file__).parents[2] / "sim_hw" / "scenarios" / "default.toml").read_text(encoding="utf-8")
    assert "\n[wind]\n" in shipped
    file.write_text(
        shipped.replace("\n[wind]\n", "\n[wind]\nrms_mrad = 1\n").replace("damping = 0.02 ", "damping = -1 ")
    )
    assert tomllib.loads(file.read_text())["wind"]["rms_mrad"] == 1
    told = boresight("demo", "--scenario", file, "--out", tmp_path / "out")
    assert told.code == 1
    assert [line.partition(": ")[2].partition(": ")[2].split(" is ")[0] for line in told.lines] == [
        "[wind] rms_mrad",
        "[fine] damping = -1",
    ]


def test_a_folder_that_cannot_be_made_is_told(boresight: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(boresight("demo", "--out", tmp_path / "file" / "out"), "cannot be made (Not a directory)", "--out")


def test_a_folder_with_a_recording_is_not_touched(boresight: Command, tmp_path: Path) -> None:
    (tmp_path / "recording.mcap").write_bytes(b"precious")
    refused(boresight("demo", "--out", tmp_path), str(tmp_path), "holds a recording already", "nothing is overwritten")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("recording.mcap", b"precious")]


def test_simulated_time_refuses_a_real_device(boresight: Command, rig: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = boresight("demo", "--rig", rig(EMULATED, REAL), "--out", out)
    refused(told, "rig.toml", '[gimbal] resource = "serial:///dev/no-such-mount" is real', "`boresight run`")
    assert not out.exists()


def test_a_report_of_a_folder_without_a_recording_is_refused(boresight: Command, tmp_path: Path) -> None:
    refused(boresight("report", tmp_path), str(tmp_path), "holds no recording.mcap")
    (tmp_path / "recording.mcap").write_bytes(b"precious")
    refused(boresight("report", tmp_path), "recording.mcap", "is no recording")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recording.mcap"]


def test_no_station_is_told_with_the_command_that_starts_one(
    boresight: Command, rig: Callable[..., Path], free_base_port: Callable[[int], int]
) -> None:
    file = rig("base_port = 5560", f"base_port = {free_base_port(30)}")
    refused(boresight("status", "--rig", file, "--timeout", "0.1"), "no station answers at", "`boresight run")


def test_a_bus_off_loopback_is_refused(boresight: Command, rig: Callable[..., Path]) -> None:
    refused(boresight("status", "--rig", rig('host = "127.0.0.1"', 'host = "192.0.2.1"')), "192.0.2.1", "loopback")


def test_a_station_whose_devices_are_not_there_names_the_port_and_ends(
    boresight: Command, tmp_path: Path, free_base_port: Callable[[int], int]
) -> None:
    absent = ["serial:///dev/no-mount", "usbip://127.0.0.1:1/1-1", "serial:///dev/no-board"]
    absent += ["visa://TCPIP0::127.0.0.1::1::SOCKET", "visa://TCPIP0::127.0.0.1::2::SOCKET"]
    text = RIG.replace("base_port = 5560", f"base_port = {free_base_port(30)}")
    for resource in absent:
        text = text.replace('\nresource = "emulated"', f'\nresource = "{resource}"', 1)
    (tmp_path / "rig.toml").write_text(text)
    told = boresight("run", "--rig", tmp_path / "rig.toml", "--run-dir", tmp_path / "run")
    assert told.code == 1
    errors = [line for line in told.lines if line.startswith("error: ")]
    assert errors  # two services may find theirs missing before the first has ended the station
    for line in errors:
        assert "refused to start: " in line
        assert "] resource" in line  # the key to look at
    assert not any("Traceback" in line for line in told.lines)


def test_a_station_without_its_emulators_names_the_command_that_starts_them(boresight: Command, tmp_path: Path) -> None:
    for verb in ("run", "fly", "calibrate"):
        refused(boresight(verb, "--run-dir", tmp_path), "[gimbal]", "emulated", "`boresight emulate --rig")
    assert list(tmp_path.iterdir()) == []


def test_elements_that_are_too_old_for_the_stations_day_are_refused(
    boresight: Command, rig: Callable[..., Path], free_base_port: Callable[[int], int]
) -> None:
    base_port, over, up = free_base_port(30), threading.Event(), threading.Event()

    def station() -> None:
        clock = RealClock()  # built-in elements are of 2025
        port = SocketPort("station", clock, static_table(base_port=base_port), simulated=True)
        up.set()
        while not over.is_set():
            port.publish(STATION_MODE, ModeState("STOWED", clock.utc_ns(), "toy"))
            clock.sleep_until(clock.now_ns() + NS // 50)
        port.close()

    thread = threading.Thread(target=station)
    thread.start()
    try:
        assert up.wait(5)
        told = boresight("track", SATELLITE.name, "--rig", rig("base_port = 5560", f"base_port = {base_port}"))
    finally:
        over.set()
        thread.join()
    refused(told, f"elements of {SATELLITE.name} are", "days old, more than the 14 allowed", "newer element set")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["demo", "--sed", "3"], "No such option: --sed"),
        (["demo", "--seed", "three"], "Invalid value for '--seed'"),
        (["track"], "Invalid value for TARGET: name a target"),
        (["dmo"], "No such command 'dmo'; did you mean demo?"),
        (["rig", "chek", "x"], "No such command 'chek'"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(boresight: Command, words: list[str], sentence: str) -> None:
    told = boresight(*words)
    assert (told.code, told.out, len(told.lines)) == (2, "", 1)
    assert told.lines[0].startswith(f"boresight: {sentence}")
    assert "--help` lists what there is." in told.lines[0]


def test_nothing_to_do_is_the_help(boresight: Command) -> None:
    told = boresight()
    assert told.code == 0
    assert "demo" in told.out


# --- the installed command


def test_the_process_itself_has_no_traceback_and_a_non_zero_exit(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-c",
        "from controller.cli import main; main()",
        "demo",
        "--rig",
        str(tmp_path / "none.toml"),
    ]
    result = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command_starts_without_the_heavy_libraries() -> None:
    code = (
        "import sys\nfrom controller.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    modules = set(result.stderr.split())
    assert "controller.cli.demo" in modules
    heavy = {"numpy", "numba", "matplotlib", "usb", "pyvisa", "sgp4", "erfa", "skyfield", "mcap", "sim_hw"}
    assert not heavy & modules


def test_a_library_that_is_missing_is_told_with_what_to_install(
    boresight: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "controller.pointing.elements", None)
    monkeypatch.setitem(sys.modules, "sgp4.api", None)
    monkeypatch.delitem(sys.modules, "controller.pointing.elements")
    refused(boresight("passes"), "sgp4", "is not installed", "boresight[sim]")


def test_a_rig_name_that_is_not_shipped_is_told_with_those_that_are(boresight: Command) -> None:
    told = boresight("demo", "--rig", "rf-staton")
    assert told.code == 1
    (line,) = told.lines
    assert line.startswith("boresight: rf-staton: no such rig file")
    assert line.endswith("there are ogs, rf-station, small-telescope.")
