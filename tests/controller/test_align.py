"""A mount is aligned by the frames of a wide camera alone, over the wires, wherever it was put down."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.align import SIDES, Aligned, Alignment, StarCamera
from controller.bus.holder import holding
from controller.bus.local import LocalBus
from controller.cli import factories
from controller.cli.bench import Bench, open_bench
from controller.cli.calibrate import align_by_plates
from controller.cli.demo import DEFAULT_RIG
from controller.geometry.frames import azel_to_enu
from controller.operate import Operator
from controller.pointing.calibration import spread_directions
from controller.pointing.elements import built_in_elements
from controller.pointing.mount import MountModel
from controller.pointing.mount_frame import MountFrame
from controller.pointing.plate_camera import CameraOnTube
from controller.procedure import CalibrationError
from hal.clock import NS
from hal.rig import open_device
from sim_hw.scene.noise import stream

SECTION = """
[star_camera]
driver = "u3v"
resource = "emulated"
exposure_s = 0.5
field_deg = 10.0
"""
NIGHT_UTC_NS = int(dt.datetime(2025, 10, 12, 1, 0, tzinfo=dt.UTC).timestamp()) * NS
DAY_UTC_NS = NIGHT_UTC_NS + 12 * 3600 * NS
QUICK = {"rate_max_deg_s": 20.0, "acceleration_max_deg_s2": 10.0}
AZIMUTH_OFF_DEG, LEANS_DEG = 137.0, 3.0
POLE_OFF = {"index_azimuth_urad": 5e4}  # else as askew: an equatorial mount looks below the horizon if this is large
Operate = Callable[[Any], Any]


def askew(seed: int) -> dict[str, float]:
    """One sigma of each mount term, such that this seed draws a mount that was put down anyhow."""
    azimuth, _, _, north, west = np.abs(stream(seed, "misalignment").standard_normal(5))
    lean_urad = math.radians(LEANS_DEG) / math.sqrt(2) * 1e6
    return {
        "index_azimuth_urad": math.radians(AZIMUTH_OFF_DEG) * 1e6 / azimuth,
        "axis_north_urad": lean_urad / north,
        "axis_west_urad": lean_urad / west,
    }


@pytest.fixture
def station(tmp_path: Path) -> Any:
    """`run(operate, services)` in lockstep on a bench of a quick mount; what `operate` gave, and the bench."""

    def run(
        operate: Operate,
        services: tuple[str, ...],
        utc_ns: int = NIGHT_UTC_NS,
        mount: str = "alt-az",
        **world: Any,
    ) -> tuple[Any, Bench]:
        text = DEFAULT_RIG.read_text(encoding="utf-8") + SECTION
        text = text.replace("[gimbal]", f'[gimbal]\nmount = "{mount}"')
        text = text.replace("rate_max_deg_s = 3.0", "rate_max_deg_s = 20.0")
        text = text.replace("acceleration_max_deg_s2 = 2.0", "acceleration_max_deg_s2 = 10.0")
        rig_path = tmp_path / "rig.toml"
        rig_path.write_text(text, encoding="utf-8")
        overrides = {"gimbal": QUICK, **world}
        with open_bench(rig_path, built_in_elements()[0], utc_ns, overrides=overrides) as bench:
            clock = bench.lockstep
            assert clock is not None
            bus = LocalBus(clock, 1)
            answers: list[Any] = []

            def operator() -> None:
                port = bus.port("operator")
                try:
                    Operator(clock, port, services).wait_for_services()
                    with holding(clock, port, "station", "aligns") as held:
                        answers.append(operate((bench, held, tmp_path)))
                finally:
                    bus.stop()

            def serve(name: str) -> None:
                getattr(factories, name)(clock, bus.port(name), bench.rig, tmp_path).run()

            for name in services:
                clock.spawn(name, partial(serve, name))
            clock.spawn("operator", operator)
            clock.run()
            if (error := clock.failures.get("operator")) is not None:
                raise error
            return answers[0], bench

    return run


def align(directions: Any, sides: Any = SIDES[:1], known: CameraOnTube | None = None) -> Operate:
    def operate(given: Any) -> Aligned:
        bench, port, _ = given
        clock = bench.lockstep
        with closing(open_device(bench.rig, "star_camera", clock)) as camera:
            stars = StarCamera(camera, 0.5, 10.0, 0.6)
            observer = factories.observer_of(bench.rig)
            frame = MountFrame.of(bench.rig)
            return Alignment(clock, port, observer, stars, 0.976, directions, sides, known, frame=frame).run()

    return operate


def left_rad(model: MountModel, bench: Bench, pixel_off: bool) -> float:
    """How far from where it should the camera's axis (or the telescope) looks, rms over the sky: what is so."""
    missed = []
    view, frame = bench.world._star_camera, model.frame
    assert view is not None
    for azimuth in np.arange(0.0, 6.2, 0.7):
        for elevation in np.radians([30.0, 50.0, 70.0]):
            axes = frame.axes(float(azimuth), float(elevation))
            place = bench.world.axis_boresight_rad(*model.encoder(*axes))
            north, east, up = view.axes(*place)[0] if pixel_off else azel_to_enu(*frame.sky(*place))[[1, 0, 2]]
            missed.append(np.array([east, north, up]) - azel_to_enu(azimuth, elevation))
    return float(np.sqrt((np.array(missed) ** 2).sum(axis=1).mean()))


def test_a_mount_that_was_put_down_anyhow_is_aligned_by_plates_alone(station: Any) -> None:
    """Its azimuth begins 137 degrees off, and it leans by 3: no star would be near where it is looked for."""
    around = [(math.radians(45.0 * i), math.radians(33.0 + 17.0 * (i % 3))) for i in range(8)]
    found, bench = station(align(around), ("station", "pointing"), misalignment=askew(1))
    terms = bench.world.mount_terms
    assert math.degrees(abs(terms.index_azimuth_rad)) == pytest.approx(AZIMUTH_OFF_DEG)
    assert math.degrees(math.hypot(terms.axis_north_rad, terms.axis_west_rad)) == pytest.approx(LEANS_DEG)
    assert len(found.sightings) == 8
    assert not found.bore_known  # nothing looked through the telescope: the model is of the camera's axis
    # The mount repeats to its worm and wind (30 µrad); a frame adds half an arc second. One side only was visited, so
    # that half of the play (75 µrad) is in the zero points.
    assert left_rad(found.fit.model, bench, pixel_off=True) < 200e-6


@pytest.mark.campaign
def test_an_equatorial_mount_whose_pole_is_three_degrees_off_is_aligned_by_plates_alone(station: Any) -> None:
    """Its rig says that the first axis points at the pole; frames turn about that axis, not about the vertical."""
    terms = askew(1) | POLE_OFF
    around = [(math.radians(45.0 * i), math.radians(40.0 + 12.0 * (i % 3))) for i in range(8)]
    found, bench = station(align(around), ("station", "pointing"), mount="equatorial", misalignment=terms)
    assert found.fit.model.frame.kind == "equatorial"
    assert len(found.sightings) == 8
    assert left_rad(found.fit.model, bench, pixel_off=True) < 200e-6
    assert found.suspicion == ""


def test_the_suns_day_is_refused_before_anything_moves(station: Any) -> None:
    with pytest.raises(CalibrationError, match=r"The Sun stands at \+\d+\.\d deg, and plates need it below -6"):
        station(align(spread_directions(0.6)), ("station", "pointing"), utc_ns=DAY_UTC_NS)


def test_cloud_ends_the_alignment_early_and_leaves_the_model_as_it_was(station: Any, tmp_path: Path) -> None:
    before = MountModel(IA=0.01, CA=1e-4)
    before.save(tmp_path / factories.MODEL_FILE)
    kept: list[MountModel] = []

    near = [(0.02 * i, 0.55) for i in range(8)]

    def operate(given: Any) -> None:
        with pytest.raises(CalibrationError, match=r"0 of 6 fields were recognised, and 8 are needed.*cloud"):
            align(near)(given)
        kept.append(MountModel.from_body(given[1].call("pointing", "pointing.model", {}, 1.0).body))

    station(operate, ("station", "pointing"), cloud={"windows_s": [[0.0, 1e4]]})
    assert kept == [before]


@pytest.mark.campaign
@pytest.mark.parametrize(("mount", "terms", "directions"), [("alt-az", {}, 12), ("equatorial", POLE_OFF, 11)])
def test_the_telescope_is_found_in_the_star_cameras_frame(
    mount: str, terms: dict[str, float], directions: int, station: Any, tmp_path: Path
) -> None:
    """The whole procedure, as `boresight calibrate --plates` runs it; on a wedge without the direction at the pole."""
    told: list[str] = []

    def operate(given: Any) -> Any:
        bench, port, folder = given
        return align_by_plates(bench.rig, bench.lockstep, port, folder, lambda what, share: told.append(what))

    answer, bench = station(operate, factories.SERVICES, mount=mount, misalignment=askew(1) | terms)
    camera = CameraOnTube.load(tmp_path / factories.STAR_CAMERA_FILE)
    view = bench.world._star_camera
    assert view is not None
    assert answer["star_camera"]["boresight_known"]
    # Three stars, each 24 µrad from its place in the telescope's camera (scenario), a pixel being 170 µrad.
    assert camera.boresight_px == pytest.approx(view.boresight_px(), abs=4 * 24 / math.sqrt(3) / 170)
    model = MountModel.load(tmp_path / factories.MODEL_FILE, MountFrame.of(bench.rig))
    assert left_rad(model, bench, pixel_off=False) < 60e-6
    assert len(answer["plates"]) == 2 * directions
    assert sum("right ascension" in what for what in told) >= 20
