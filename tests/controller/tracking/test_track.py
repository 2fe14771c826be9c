from __future__ import annotations

from controller.bus.topics import ZERO, Pair, PointingState
from controller.tracking.eye import Sight
from controller.tracking.settings import TrackingSettings
from controller.tracking.track import Track

URAD = 1e-6
FRAME_NS = 20_000_000


def pointing(t_utc_ns: int) -> PointingState:
    """A gimbal that stands exactly on a target that stands still."""
    looks = (1.0, 0.8, 0.0, 0.0)
    return PointingState(t_utc_ns, "track", *looks, *looks, 1e6, ZERO, ZERO, ZERO, ZERO, 0.1, True)


def see(track: Track, number: int, error_rad: Pair | None) -> None:
    t_utc_ns = 10**18 + number * FRAME_NS
    track.take(pointing(t_utc_ns))
    track.see(t_utc_ns, Sight(0, None, error_rad, URAD, 0))


def test_a_frame_teaches_the_offload_once_however_often_the_mirror_reports() -> None:
    once, often = Track(TrackingSettings()), Track(TrackingSettings())
    for number in range(1000):
        for track in (once, often):
            see(track, number, ZERO)
            track.hand_over((100 * URAD, 0.0), 0.02)
        often.hand_over((-500 * URAD, 0.0), 0.02)
    assert once.offload_rad == often.offload_rad
    assert once.offload_rad[0] > 60 * URAD


def test_without_a_beacon_on_the_frame_the_offload_learns_nothing() -> None:
    track = Track(TrackingSettings())
    for number in range(1000):
        see(track, number, None)
        track.hand_over((100 * URAD, 0.0), 0.02)
    assert track.offload_rad == ZERO


def test_while_the_fine_loop_is_open_the_offload_keeps_what_it_knows() -> None:
    track = Track(TrackingSettings())
    for number in range(1000):
        see(track, number, ZERO)
        track.hand_over((100 * URAD, 0.0), 0.02)
    known = track.offload_rad
    for number in range(1000, 2000):
        see(track, number, (300 * URAD, 0.0))
        track.hand_over(None, 0.02)
    assert track.offload_rad == known
