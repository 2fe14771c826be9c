"""The aircraft vote: the cone and its growth, what is not known, and the feed's own life."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.bus.port import Sample
from controller.bus.topics import POINTING_STATE, Topic
from controller.cli.factories import traffic_of
from controller.geometry.frames import Site
from controller.safety.failures import Failures
from controller.safety.inputs import Reading
from controller.safety.lookout import Lookout
from controller.safety.traffic.live import LISTENING_S, Rules, Traffic, TrafficWord
from controller.safety.traffic.tracks import Uncertainty
from controller.safety.votes import VOTERS
from hal.clock import RealClock
from hal.errors import ProtocolError, WireError
from hal.rig import DEVICES, load_rig
from hal.traits import AircraftReport

S = 10**9
DEG = math.pi / 180
NOW_NS = 10**12
SITE = Site(0.0, 0.0, 0.0)
UP: Any = SimpleNamespace(azimuth_rad=0.0, elevation_rad=1.0, target_azimuth_rad=0.0, target_elevation_rad=1.0)
SHARP = Uncertainty(1.0, 1.0)  # metres: next to nothing


class Sky:
    """A feed whose reports a test gives."""

    def __init__(self) -> None:
        self.reports: list[AircraftReport] = []
        self.heard_ns: int | None = NOW_NS
        self.trouble: Exception | None = None
        self.opened = self.closed = 0

    def open(self) -> Sky:
        self.opened += 1
        return self

    def poll(self) -> list[AircraftReport]:
        if self.trouble:
            raise self.trouble
        came, self.reports = self.reports, []
        return came

    def close(self) -> None:
        self.closed += 1


def overhead(height_m: float = 10_000.0, address: str = "4CA2D6", **more: Any) -> AircraftReport:
    said = {"t_ns": NOW_NS, "speed_m_s": 200.0, "on_ground": False, **more}
    return AircraftReport(address=address, latitude_deg=0.0, longitude_deg=0.0, altitude_m=height_m, **said)


@pytest.fixture
def sky() -> Sky:
    return Sky()


@pytest.fixture
def beam(good: Any) -> Any:
    """A beam so many degrees from the zenith, and its target with it."""

    def at(off_deg: float, target_off_deg: float | None = None) -> Any:
        target_off_deg = off_deg if target_off_deg is None else target_off_deg
        up = {"elevation_rad": (90 - off_deg) * DEG, "target_elevation_rad": (90 - target_off_deg) * DEG}
        return good.changed(good.pointing, azimuth_rad=0.0, target_azimuth_rad=0.0, **up)

    return at


def traffic(sky: Sky, uncertainty: Uncertainty = SHARP, **more: Any) -> Traffic:
    """A judge that has heard an empty sky for as long as it must."""
    judge = Traffic(sky.open, SITE, Rules(5 * DEG, uncertainty, **more))
    came, sky.reports = sky.reports, []
    judge.look(NOW_NS - round(LISTENING_S * S), UP)
    sky.reports = came
    return judge


def test_an_aircraft_inside_of_the_cone_is_a_no_and_outside_of_it_a_yes(sky: Sky, beam: Any) -> None:
    judge = traffic(sky)
    sky.reports = [overhead()]
    assert not judge.look(NOW_NS, beam(4.9)).ok
    assert judge.look(NOW_NS, beam(5.1)).ok
    assert "4CA2D6" in judge.look(NOW_NS, beam(4.9)).reason


def test_the_target_counts_as_the_gimbal_does(sky: Sky, beam: Any) -> None:
    judge = traffic(sky)
    sky.reports = [overhead()]
    assert not judge.look(NOW_NS, beam(20.0, 3.0)).ok
    assert not judge.look(NOW_NS, beam(3.0, 20.0)).ok


def test_uncertain_position_and_altitude_widen_the_cone_by_the_angle_that_they_fill(sky: Sky, beam: Any) -> None:
    # hypot(300, 400) m in 10 km: 2.87 deg on top of five
    judge = traffic(sky, Uncertainty(300.0, 400.0))
    sky.reports = [overhead()]
    assert not judge.look(NOW_NS, beam(7.8)).ok
    assert judge.look(NOW_NS, beam(7.9)).ok


def test_the_cone_grows_with_the_age_of_the_report_as_fast_as_the_aircraft_flies(sky: Sky, beam: Any) -> None:
    # 200 m/s and a tenth for 5 s: 1100 m in 10 km, 6.3 deg on top of five
    judge = traffic(sky)
    sky.reports = [overhead()]
    assert judge.look(NOW_NS, beam(11.2)).ok
    assert not judge.look(NOW_NS + 5 * S, beam(11.2)).ok
    assert judge.look(NOW_NS + 5 * S, beam(11.5)).ok


def test_an_aircraft_of_unknown_speed_grows_as_the_fastest(sky: Sky, beam: Any) -> None:
    # 350 m/s for 5 s: 1750 m in 10 km, 10.1 deg
    judge = traffic(sky)
    sky.reports = [overhead(speed_m_s=None)]
    judge.look(NOW_NS, beam(40.0))
    assert not judge.look(NOW_NS + 5 * S, beam(15.0)).ok
    assert judge.look(NOW_NS + 5 * S, beam(15.2)).ok


def test_the_time_to_change_is_that_in_which_the_cone_alone_reaches_the_beam(sky: Sky, beam: Any) -> None:
    judge = traffic(sky)
    sky.reports = [overhead()]
    word = judge.look(NOW_NS, beam(35.0))
    assert word.changes_in_s == pytest.approx((10_000 * math.sin(30 * DEG) - math.hypot(1, 1)) / 220.0)
    assert judge.look(NOW_NS + round((word.changes_in_s - 0.01) * S), beam(35.0)).ok
    assert not judge.look(NOW_NS + round((word.changes_in_s + 0.01) * S), beam(35.0)).ok


def test_one_that_may_be_anywhere_closes_the_whole_sky_until_it_is_forgotten(sky: Sky, beam: Any) -> None:
    judge = traffic(sky)
    sky.reports = [overhead()]
    judge.look(NOW_NS, beam(80.0))
    assert not judge.look(NOW_NS + 60 * S, beam(80.0)).ok  # 13 km of way at 10 km
    assert not judge.look(NOW_NS + 120 * S, beam(80.0)).ok
    assert judge.look(NOW_NS + 121 * S, beam(80.0)).ok


def test_an_old_altitude_is_not_made_young_by_a_new_position(sky: Sky, beam: Any) -> None:
    judge = traffic(sky)
    sky.reports = [overhead(), AircraftReport(NOW_NS + 5 * S, "4CA2D6", 0.0, 0.0)]
    assert not judge.look(NOW_NS + 5 * S, beam(11.2)).ok


def test_an_aircraft_that_does_not_say_where_it_is_is_a_no_unless_the_rig_says_otherwise(sky: Sky, beam: Any) -> None:
    for report in (AircraftReport(NOW_NS, "4CA2D6"), AircraftReport(NOW_NS, "4CA2D6", 0.0, 0.0)):
        sky.reports = [report]
        word = traffic(sky).look(NOW_NS, beam(40.0))
        assert not word.ok
        assert "4CA2D6 does not say where it is" in word.reason
        sky.reports = [report]
        assert traffic(sky, ignore_without_position=True).look(NOW_NS, beam(40.0)).ok


def test_an_aircraft_on_the_ground_does_not_count_until_it_flies(sky: Sky, beam: Any) -> None:
    judge = traffic(sky)
    sky.reports = [overhead(on_ground=True)]
    assert judge.look(NOW_NS, beam(0.0)).ok
    sky.reports = [overhead()]
    assert not judge.look(NOW_NS, beam(0.0)).ok


def test_one_near_aircraft_among_many_is_enough(sky: Sky, beam: Any, good: Any) -> None:
    judge = traffic(sky)
    far = [AircraftReport(NOW_NS, f"{n:06X}", 1.0, 0.01 * n, 9_000.0, 200.0, False) for n in range(200)]
    sky.reports = [*far, overhead()]
    assert not judge.look(NOW_NS, beam(3.0)).ok
    assert judge.look(NOW_NS, good.changed(beam(10.0), azimuth_rad=math.pi, target_azimuth_rad=math.pi)).ok


def test_a_flood_of_aircraft_is_a_no_and_eats_no_memory(sky: Sky, beam: Any) -> None:
    judge = traffic(sky)
    sky.reports = [AircraftReport(NOW_NS, f"{n:06X}", 1.0, 1.0, 9_000.0, 200.0, False) for n in range(5_000)]
    assert "more than 2000 aircraft" in judge.look(NOW_NS, beam(3.0)).reason
    assert len(judge._tracks) <= 2_002


TROUBLES = [WireError("aircraft: is lost."), ProtocolError("aircraft: sends nonsense."), OverflowError("too large")]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_feed_that_fails_is_a_no_at_once_and_is_opened_again_after_a_second(
    sky: Sky, beam: Any, trouble: Exception
) -> None:
    judge = traffic(sky)
    sky.reports = [overhead()]
    assert judge.look(NOW_NS, beam(40.0)).ok
    sky.trouble = trouble
    word = judge.look(NOW_NS + S, beam(40.0))
    assert (word.ok, word.heard_ns, word.reason) == (False, None, word.reason)
    assert str(trouble) in word.reason
    sky.trouble = None
    assert not judge.look(NOW_NS + 2 * S - 1, beam(40.0)).ok
    assert sky.opened == 1
    # what was known of the sky is kept: the aircraft has not gone because the wire has
    assert "is 4.0 deg from the beam" in judge.look(NOW_NS + 2 * S, beam(4.0)).reason
    sky.reports = [overhead(t_ns=NOW_NS + 32 * S)]
    assert not judge.look(NOW_NS + 32 * S - 1, beam(40.0)).ok, "it has not been heard for long enough"
    assert judge.look(NOW_NS + 32 * S, beam(40.0)).ok
    judge.close()
    assert sky.closed == 2


def heard(judge: Traffic, sky: Sky, t_ns: int, at: Any) -> TrafficWord:
    sky.heard_ns = t_ns
    return judge.look(t_ns, at)


def test_a_receiver_that_has_just_started_is_no_empty_sky(sky: Sky, beam: Any) -> None:
    judge, sky.heard_ns = Traffic(sky.open, SITE, Rules(5 * DEG, SHARP)), None
    judge.look(NOW_NS, beam(40.0))
    first = heard(judge, sky, NOW_NS + 5 * S, beam(40.0))
    assert (first.ok, first.changes_in_s) == (False, LISTENING_S)
    assert "it counts in 30 s" in first.reason
    for later_s in (15, 25):
        assert not heard(judge, sky, NOW_NS + later_s * S, beam(40.0)).ok
    assert not heard(judge, sky, NOW_NS + 35 * S - 1, beam(40.0)).ok
    assert heard(judge, sky, NOW_NS + 35 * S, beam(40.0)).ok


def test_after_a_silence_longer_than_a_feed_may_have_it_is_listened_to_anew(sky: Sky, beam: Any) -> None:
    judge = traffic(sky)
    assert heard(judge, sky, NOW_NS + 10 * S, beam(40.0)).ok, "a silence that may be"
    again_ns = NOW_NS + 20 * S + 1
    assert not heard(judge, sky, again_ns, beam(40.0)).ok
    for later_s in (10, 20):
        assert not heard(judge, sky, again_ns + later_s * S, beam(40.0)).ok
    assert heard(judge, sky, again_ns + 30 * S, beam(40.0)).ok


def test_a_beam_that_is_no_number_is_a_no(sky: Sky, beam: Any, good: Any) -> None:
    judge = traffic(sky)
    sky.reports = [overhead()]
    assert not judge.look(NOW_NS, good.changed(beam(40.0), elevation_rad=math.nan)).ok


@pytest.fixture
def outdoors(good: Any) -> Any:
    return replace(good.limits, enclosed_bench=False)


def voted(good: Any, outdoors: Any, word: TrafficWord, age_s: float) -> Any:
    return VOTERS["aircraft"](replace(good.inputs(), traffic=Reading(word, age_s, False)), outdoors)


def test_the_vote_is_the_word_while_the_feed_is_heard(good: Any, outdoors: Any) -> None:
    assert voted(good, outdoors, TrafficWord(True, "clear", NOW_NS, 12.0), 10.0).changes_in_s == 12.0
    for word, age_s in (
        (TrafficWord(True, "clear", NOW_NS), 10.1),
        (TrafficWord(True, "clear", NOW_NS), math.nan),
        (TrafficWord(True, "clear", None), math.inf),
        (TrafficWord(False, "near", NOW_NS), 0.1),
        (TrafficWord(False, "lost", None), math.inf),
    ):
        opinion = voted(good, outdoors, word, age_s)
        assert (opinion.ok, opinion.orderly) == (False, False)


def test_no_feed_or_no_pointing_is_no_vote(good: Any, outdoors: Any) -> None:
    assert not VOTERS["aircraft"](good.inputs(), outdoors).ok
    clear = replace(good.inputs(), traffic=Reading(TrafficWord(True, "clear", NOW_NS), 0.0, False), pointing=None)
    assert not VOTERS["aircraft"](clear, outdoors).ok


def test_the_safety_service_s_lookout_gives_the_vote_its_age_and_closes_the_feed(sky: Sky, good: Any) -> None:
    clock, port = StillClock(), Port(good.pointing)
    judge = traffic(sky)
    bodies = (good.sun, good.moon)
    lookout = Lookout(
        clock, port, good.limits, lambda t: bodies, lambda: good.time, True, None, judge, Failures(port)
    )  # fmt: skip
    sky.heard_ns = NOW_NS - 3 * S
    reading = lookout.inputs(None, None, None, None, None, None).traffic
    assert reading is not None
    assert (reading.age_s, reading.simulated) == (3.0, False)
    sky.heard_ns = None
    assert lookout.inputs(None, None, None, None, None, None).traffic == Reading(
        TrafficWord(True, "none placed", None), math.inf, False
    )
    lookout.close()
    assert sky.closed == 1


class StillClock:
    realtime = True

    def now_ns(self) -> int:
        return NOW_NS

    def utc_ns(self) -> int:
        return NOW_NS

    def sleep_until(self, t_ns: int) -> None:
        raise AssertionError("nobody waits")


class Port:
    """Knows where the telescope points, and nothing else."""

    def __init__(self, pointing: Any) -> None:
        self.sample = Sample(POINTING_STATE.name, "pointing", 0, 0, NOW_NS, False, pointing)

    def latest(self, topic: Topic, source: str = "") -> Any:
        return self.sample if topic is POINTING_STATE else None


def test_a_rig_opens_its_feed_in_real_time_only(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[4] / "controller" / "data" / "rigs" / "ogs.toml"
    path = tmp_path / "rig.toml"
    path.write_text(shipped.read_text() + '\n[aircraft]\nresource = "tcp://127.0.0.1:30003"\n')
    rig = load_rig(path, dict.fromkeys(DEVICES, ""))

    class Simulated(RealClock):
        realtime = False

    assert traffic_of(rig, RealClock(), SITE) is not None
    assert traffic_of(rig, Simulated(), SITE) is None
