"""What a rig file may say of the station's processes, and what it is told otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hal.errors import RigError
from hal.rig import load_rig
from hal.rig_supervisor import RESTARTABLE


@pytest.fixture
def read(tmp_path: Path, pytestconfig: pytest.Config) -> Callable[[str], object]:
    """Reads the example rig with lines of [supervisor] at its end."""
    example = (pytestconfig.rootpath / "controller/data/rigs/ogs.toml").read_text()
    devices = ("gimbal", "camera", "beam_board", "laser", "power_meter")

    def write(lines: str) -> object:
        path = tmp_path / "rig.toml"
        path.write_text(f"{example}\n[supervisor]\n{lines}\n")
        return load_rig(path, dict.fromkeys(devices, "")).supervisor

    return write


def test_a_rig_without_the_section_restarts_all_but_safety(read: Callable[[str], object]) -> None:
    section = read("")
    assert tuple(section.restart) == RESTARTABLE  # type: ignore[attr-defined]
    assert "safety" not in RESTARTABLE


def test_priorities_and_processors_are_tables_by_service(read: Callable[[str], object]) -> None:
    section = read("priority = { tracking = 60 }\ncpus = { tracking = [2, 3], supervisor = [0] }\nrestart = []")
    assert section.priority == {"tracking": 60}  # type: ignore[attr-defined]
    assert section.cpus == {"tracking": [2, 3], "supervisor": [0]}  # type: ignore[attr-defined]
    assert section.restart == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ('restart = ["safety"]', '"safety" is never started again by itself: safety alone may switch the laser on'),
        (
            'restart = ["trackin"]',
            'there is no service "trackin" to name here; did you mean tracking? Allowed: recorder',
        ),
        ("priority = { traking = 5 }", "did you mean tracking?"),
        (
            "priority = { tracking = 100 }",
            "[supervisor] priority tracking = 100 is not allowed; write less than or equal to 99",
        ),
        ("cpus = { tracking = [] }", "[supervisor] cpus tracking = [] is not allowed; write one at least"),
        (
            "cpus = { tracking = [-1] }",
            "[supervisor] cpus tracking 0 = -1 is not allowed; write greater than or equal to 0",
        ),
        ("restart_delay_s = 90.0", "restart_delay_s = 90 is above restart_delay_max_s = 60"),
        ("memory_told_mb = 2000.0", "memory_told_mb = 2000 is above memory_max_mb = 1500"),
        ("hung_after_s = 0.1", "[supervisor] hung_after_s = 0.1 is not allowed; write 1 or more and 60 or less"),
        ("hung_after = 5.0", "[supervisor] hung_after is not known; did you mean hung_after_s"),
    ],
)
def test_each_mistake_is_one_sentence_with_key_and_remedy(
    read: Callable[[str], object], lines: str, sentence: str
) -> None:
    with pytest.raises(RigError) as caught:
        read(lines)
    assert len(caught.value.problems) == 1
    assert sentence in caught.value.problems[0]
