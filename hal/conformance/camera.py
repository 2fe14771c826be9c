"""What every Camera must do."""

from __future__ import annotations

import numpy as np

from hal.conformance.suite import Case, Deviation, Trial, require
from hal.errors import DeviceError, WireTimeout
from hal.traits import Frame, Region

EXPOSURE_S, RATE_HZ, SIDE_PX = 2e-3, 20.0, 64
FRAME_TIMEOUT_S = 1.0
INTERVAL_SHARE = 0.02  # by which the time between two frames may be wrong


def _configured(trial: Trial, region: Region | None = None, rate_hz: float = RATE_HZ) -> None:
    sensor: Region = trial.device.sensor
    middle = Region(sensor.width // 2 - SIDE_PX // 2, sensor.height // 2 - SIDE_PX // 2, SIDE_PX, SIDE_PX)
    trial.device.configure(EXPOSURE_S, rate_hz, region or middle)


def _frames(trial: Trial, count: int) -> list[Frame]:
    trial.device.start()
    try:
        return [trial.device.read(FRAME_TIMEOUT_S) for _ in range(count)]
    finally:
        trial.device.stop()


def _has_a_sensor(trial: Trial) -> None:
    sensor: Region = trial.device.sensor
    require(sensor.x == sensor.y == 0 and sensor.width > 0 and sensor.height > 0, f"its sensor is {sensor}")


def _images_are_of_the_region(trial: Trial) -> None:
    _configured(trial)
    for frame in _frames(trial, 3):
        require(frame.image.dtype == np.uint16, f"pixels are {frame.image.dtype}")
        require(
            frame.image.shape == (frame.region.height, frame.region.width),
            f"the image is {frame.image.shape} and its region {frame.region}",
        )
        inside = frame.region.x + frame.region.width <= trial.device.sensor.width
        require(inside and frame.region.width >= SIDE_PX // 2, f"the region is {frame.region}")
    trial.note("dark_level_counts", float(np.median(frame.image)))


def _frames_follow_each_other(trial: Trial) -> None:
    _configured(trial)
    frames = _frames(trial, 20)
    numbers = [frame.number for frame in frames]
    lost = sum(frame.dropped for frame in frames[1:])
    require(numbers == sorted(set(numbers)), f"the numbers of frames are {numbers}")
    gaps = numbers[-1] - numbers[0] - (len(numbers) - 1)
    require(gaps == lost, f"{gaps} numbers are missing and {lost} frames are said to be lost")
    trial.note("frames_lost_of_20", float(lost))


def _frames_come_at_the_rate(trial: Trial) -> None:
    _configured(trial)
    frames = _frames(trial, 20)
    interval_s = (frames[-1].t_mid_ns - frames[0].t_mid_ns) * 1e-9 / (frames[-1].number - frames[0].number)
    trial.note("frame_interval_s", interval_s)
    require(
        abs(interval_s * RATE_HZ - 1.0) <= INTERVAL_SHARE,
        f"a frame takes {interval_s:.5f} s where {1 / RATE_HZ:g} was set",
    )


def _time_is_mid_exposure(trial: Trial) -> None:
    _configured(trial)
    trial.device.start()
    try:
        ages_s = []
        for _ in range(10):
            frame: Frame = trial.device.read(FRAME_TIMEOUT_S)
            ages_s.append((trial.clock.now_ns() - frame.t_mid_ns) * 1e-9)
            require(abs(frame.exposure_s - EXPOSURE_S) <= 0.05 * EXPOSURE_S, f"the exposure is {frame.exposure_s} s")
    finally:
        trial.device.stop()
    trial.note("frame_age_s", float(np.median(ages_s)))
    require(min(ages_s) >= EXPOSURE_S / 2 * 0.9, f"a frame is {min(ages_s):.5f} s old, less than half of its exposure")
    require(max(ages_s[2:]) <= 2.0 / RATE_HZ, f"a frame is {max(ages_s[2:]):.3f} s old: it was queued")


def _a_region_may_change(trial: Trial) -> None:
    sensor: Region = trial.device.sensor
    _configured(trial)
    _frames(trial, 2)
    corner = Region(0, 0, min(2 * SIDE_PX, sensor.width), min(SIDE_PX, sensor.height))
    _configured(trial, corner)
    frame = _frames(trial, 1)[0]
    require((frame.region.x, frame.region.y) == (0, 0), f"the region is {frame.region} where {corner} was set")
    require(frame.region.width > frame.region.height, f"the region is {frame.region} where {corner} was set")


def _is_silent_when_stopped(trial: Trial) -> None:
    _configured(trial)
    _frames(trial, 2)
    begun_ns = trial.clock.now_ns()
    try:
        frame = trial.device.read(0.3)
    except (WireTimeout, DeviceError):  # a driver may know by itself that nothing can come
        waited_s = (trial.clock.now_ns() - begun_ns) * 1e-9
        require(waited_s <= 1.0, f"a read with a time-out of 0.3 s took {waited_s:.2f} s")
        return
    raise Deviation(f"frame {frame.number} came from a camera that was stopped")


def _starts_again_with_fresh_frames(trial: Trial) -> None:
    _configured(trial)
    _frames(trial, 3)
    trial.wait(0.5)
    started_ns = trial.clock.now_ns()
    frame = _frames(trial, 1)[0]
    require(frame.t_mid_ns >= started_ns, "the first frame after a start was exposed before it")


def _opens_again(trial: Trial) -> None:
    _configured(trial)
    trial.device.start()  # left running, as a killed owner leaves it
    trial.reopen()
    _configured(trial)
    require(len(_frames(trial, 2)) == 2, "no frames")


CASES = (
    Case("has a sensor", _has_a_sensor),
    Case("gives images of the region that it says", _images_are_of_the_region),
    Case("numbers its frames and says how many were lost", _frames_follow_each_other),
    Case("keeps its frame rate", _frames_come_at_the_rate),
    Case("gives a frame the time of its mid-exposure", _time_is_mid_exposure),
    Case("takes another region", _a_region_may_change),
    Case("is silent when it is stopped, and says so in time", _is_silent_when_stopped),
    Case("begins with fresh frames when it is started again", _starts_again_with_fresh_frames),
    Case("works when it is opened again while it was running", _opens_again),
)
