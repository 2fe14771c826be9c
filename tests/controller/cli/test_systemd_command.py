"""The unit that is shipped is the one that is generated, and a rig's own unit allows what that rig needs."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from controller.cli.factories import PRIORITIES
from controller.cli.systemd import RIG, STOP_MARGIN_S, TTY, USB, WATCHDOG_MIN_S, Wanted, unit
from controller.services.rules import DEFAULT_RULES
from controller.services.supervisor import GRACE_S
from hal.rig_supervisor import SERVICES


def service(text: str) -> dict[str, str]:
    """The last value of each key of [Service]."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return dict(parser["Service"])


def test_the_committed_unit_is_the_generated_one(pytestconfig: pytest.Config) -> None:
    committed = (pytestconfig.rootpath / "systemd/boresight.service").read_text()
    assert committed == unit(), "run: python -m controller.cli.systemd > systemd/boresight.service"


def test_the_times_of_the_unit_leave_room_for_those_of_the_station() -> None:
    told = service(unit())
    assert told["Type"] == "notify"
    assert DEFAULT_RULES.hung_after_s + GRACE_S < WATCHDOG_MIN_S, "the supervisor deals with a hung service first"
    assert int(told["TimeoutStartSec"]) > DEFAULT_RULES.start_timeout_s
    assert GRACE_S * len(SERVICES) <= STOP_MARGIN_S
    slow = service(unit(Wanted(park_s=400.0)))
    assert int(slow["TimeoutStopSec"]) == 400 + STOP_MARGIN_S
    assert int(told["LimitRTPRIO"]) == max(PRIORITIES.values())


def test_nothing_is_killed_with_the_supervisor_since_guardians_must_outlive_it() -> None:
    assert service(unit())["KillMode"] == "process"


def test_only_the_kinds_of_devices_that_a_rig_names_may_be_opened(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    example = (pytestconfig.rootpath / "controller/data/rigs/ogs.toml").read_text()
    rig = tmp_path / "my rig.toml"
    rig.write_text(re.sub(r'(?m)^resource = "emulated" +# (serial://\S+)', r'resource = "\1"', example))
    command = [sys.executable, "-m", "controller.cli", "systemd", "--rig", str(rig), "--program", "/opt/b/boresight"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    allowed = re.findall(r"(?m)^DeviceAllow=(\S+) rw$", done.stdout)
    assert allowed == list(TTY)
    assert f'ExecStart=/opt/b/boresight run --rig "{rig}" --run-dir %S/boresight' in done.stdout
    assert json.dumps(sorted(set(re.findall(r"\[(\w+)\] is emulated", done.stderr)))) == (
        '["camera", "laser", "power_meter"]'
    )


def test_a_rig_in_somebody_s_home_can_be_read() -> None:
    assert service(unit())["ProtectHome"] == "yes"
    assert service(unit(Wanted(rig=Path("/home/anna/rig.toml"))))["ProtectHome"] == "read-only"
    assert str(RIG) in unit()
    assert set(USB) <= set(Wanted().devices)


def test_a_percent_sign_in_a_path_is_no_specifier() -> None:
    assert "--rig /etc/50%%/rig.toml " in unit(Wanted(rig=Path("/etc/50%/rig.toml")))


@pytest.mark.parametrize(("hung_after_s", "watchdog_s"), [(1.0, 30), (10.0, 30), (10.1, 31), (60.0, 180)])
def test_the_watchdog_waits_longer_than_the_supervisor_does_for_a_hung_service(
    hung_after_s: float, watchdog_s: int
) -> None:
    assert f"WatchdogSec={watchdog_s}\n" in unit(Wanted(hung_s=hung_after_s))
