"""Real, emulated or replayed: whatever stands beside a real laser, `rig check` says what locks emission."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from controller.cli.rig import describe
from hal.rig import DEVICES, emission_lock, load_rig

EXAMPLE = Path(__file__).parents[3] / "controller/data/rigs/ogs.toml"
REAL = {
    "gimbal": "serial:///dev/boresight/gimbal",
    "camera": "usb://1209:0001/CAM1",
    "beam_board": "serial:///dev/boresight/beamboard",
    "laser": "visa://USB0::0x1313::0x804a::M00404162::INSTR",
    "power_meter": "visa://USB0::0x1313::0x8078::P0009084::INSTR",
}
KINDS = ("real", "emulated", "replayed")
OTHERS = tuple(device for device in DEVICES if device != "laser")


@pytest.mark.parametrize("kinds", list(product(KINDS, repeat=len(OTHERS))), ids="-".join)
def test_a_real_laser_is_locked_by_every_companion_that_is_not_real_and_the_check_says_why(
    tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    chosen = {**dict(zip(OTHERS, kinds, strict=True)), "laser": "real"}
    text = EXAMPLE.read_text(encoding="utf-8")
    for device in REAL:  # the example's devices are in this order
        words = {"real": REAL[device], "emulated": "EMULATED", "replayed": f"replay:///tmp/{device}.jsonl"}
        text = text.replace('\nresource = "emulated"', f'\nresource = "{words[chosen[device]]}"', 1)
    path = tmp_path / "rig.toml"
    path.write_text(text.replace("EMULATED", "emulated"), encoding="utf-8")
    emulated = {device: f"simhw://{device}" for device, kind in chosen.items() if kind == "emulated"}
    rig = load_rig(path, emulated)
    unreal = [device for device in DEVICES if chosen[device] != "real"]
    told = describe(rig)["emission_locked"]
    assert [reason.split(" is emulated and ")[0] for reason in told] == unreal
    assert emission_lock(rig) == told
    in_lockstep = emission_lock(rig, realtime=False)
    assert in_lockstep[: len(told)] == told
    assert in_lockstep[-1].startswith("time is simulated")
