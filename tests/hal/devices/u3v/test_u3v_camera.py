"""One behaviour on both wires: what the tracking loop may rely on when it has a camera."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from hal.devices.u3v import U3vCamera
from hal.errors import DeviceError, HalError, ProtocolError, ResourceError, WireError, WireTimeout
from hal.traits import Region

REGION = Region(96, 64, 64, 48)


def test_it_knows_its_sensor(camera: U3vCamera) -> None:
    assert camera.sensor == Region(0, 0, 256, 256)


def test_frames_come_in_the_region_asked_for_and_in_order(camera: U3vCamera) -> None:
    camera.configure(0.002, 200.0, REGION)
    camera.start()
    frames = [camera.read(1.0) for _ in range(5)]
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    assert all(frame.region == REGION and frame.image.shape == (48, 64) for frame in frames)
    assert frames[0].image.dtype == np.uint16
    assert frames[0].exposure_s == pytest.approx(0.002)


def test_a_spot_appears_where_the_sky_puts_it(camera: U3vCamera, bench: Any) -> None:
    sensor = bench.emulated.sensor
    bench.scene.spots = [(10 * sensor.pixel_scale_rad, -20 * sensor.pixel_scale_rad, 1e7)]
    camera.configure(0.002, 100.0, REGION)
    camera.start()
    image = camera.read(1.0).image
    row, column = np.unravel_index(np.argmax(image), image.shape)
    # 127.5 is the middle of 256 pixels; the spot lies between two pixels, so either may win
    assert column + REGION.x in (137, 138)
    assert row + REGION.y in (107, 108)


def test_a_region_is_rounded_to_the_cameras_steps_and_the_frame_says_so(camera: U3vCamera) -> None:
    camera.configure(0.002, 100.0, Region(33, 35, 30, 31))  # steps are 4 across, 2 down
    camera.start()
    assert camera.read(1.0).region == Region(32, 34, 32, 32)


def test_a_running_stream_goes_on_in_the_new_region(camera: U3vCamera) -> None:
    camera.configure(0.002, 100.0, camera.sensor)
    camera.start()
    assert camera.read(1.0).image.shape == (256, 256)
    camera.configure(0.002, 100.0, REGION)
    frame = camera.read(1.0)
    assert (frame.region, frame.number) == (REGION, 0)


def test_a_region_beyond_the_sensor_is_refused_in_one_sentence(camera: U3vCamera) -> None:
    with pytest.raises(DeviceError, match="does not fit a sensor of 256"):
        camera.configure(0.002, 100.0, Region(224, 0, 64, 64))


def test_an_exposure_that_the_camera_refuses_names_the_feature(camera: U3vCamera) -> None:
    with pytest.raises(DeviceError, match="ExposureTime") as caught:
        camera.configure(100.0, 1.0, REGION)
    assert caught.value.code == 0x8002  # GENCP_INVALID_PARAMETER


def test_frames_that_nobody_fetched_are_counted(camera: U3vCamera, bench: Any) -> None:
    camera.configure(0.001, 500.0, REGION)
    camera.start()
    numbers = [camera.read(1.0).number]
    bench.clock.sleep_until(bench.clock.now_ns() + 60_000_000)
    frames = [camera.read(1.0) for _ in range(8)]
    numbers += [frame.number for frame in frames]
    missing = numbers[-1] - numbers[0] - (len(numbers) - 1)
    assert missing > 5
    assert sum(frame.dropped for frame in frames) == camera.lost == missing


def test_no_frame_in_time_is_a_time_out_and_the_next_read_goes_on(camera: U3vCamera) -> None:
    camera.configure(0.100, 5.0, REGION)
    camera.start()
    with pytest.raises(WireTimeout):
        camera.read(0.02)
    assert camera.read(2.0).number == 0


def test_a_camera_that_is_not_there_is_one_sentence(bench: Any) -> None:
    with pytest.raises(ResourceError, match="no device at"):
        U3vCamera(bench.resource[:-1] + "9", bench.clock)


def test_unplugging_is_a_wire_error_and_closing_still_works(camera: U3vCamera, bench: Any) -> None:
    camera.configure(0.002, 100.0, REGION)
    camera.start()
    camera.read(1.0)
    bench.unplug()
    with pytest.raises(WireError, match="plug the device in again") as caught:
        list(map(camera.read, [1.0] * 3))  # what was under way may still come
    assert not isinstance(caught.value, WireTimeout)


def test_a_second_driver_takes_over_a_camera_that_was_left_streaming(camera: U3vCamera, bench: Any) -> None:
    camera.configure(0.002, 200.0, REGION)
    camera.start()
    camera.read(1.0)
    camera._wire.close()  # as if its process had been killed: nobody stops the stream
    other = U3vCamera(bench.resource, bench.clock)
    other.configure(0.001, 100.0, Region(0, 0, 32, 32))
    other.start()
    frame = other.read(1.0)
    assert (frame.number, frame.region) == (0, Region(0, 0, 32, 32))
    other.close()


def inject(bench: Any, transfer: bytes) -> None:
    """Put bytes in front of what the camera sends next."""

    def put() -> None:
        bench.emulated._transfers.appendleft(transfer)
        bench.emulated._held.appendleft(1)
        bench.emulated.changed()

    bench.within(put)


@pytest.mark.parametrize(
    "garbage",
    [b"\x00", b"U3VL" + bytes(48), b"x" * 3000, b"U3VT" + bytes(28)],
    ids=["byte", "leader", "data", "trailer"],
)
def test_garbage_in_the_stream_is_a_protocol_error_and_the_next_frames_are_good(
    camera: U3vCamera, bench: Any, garbage: bytes
) -> None:
    camera.configure(0.005, 50.0, REGION)
    camera.start()
    camera.read(1.0)
    inject(bench, garbage)
    with pytest.raises(ProtocolError, match="camera"):
        camera.read(1.0)
    frame = camera.read(1.0)
    assert frame.image.shape == (48, 64)
    assert frame.image.mean() == pytest.approx(200, abs=3)  # 100 e of background on a pedestal of 100


def test_half_a_frame_is_a_protocol_error_that_says_how_much_came(camera: U3vCamera, bench: Any) -> None:
    camera.configure(0.005, 50.0, REGION)
    camera.start()
    camera.read(1.0)
    leader = struct.pack("<IHHQHHQIIIIIHH", 0x4C563355, 0, 52, 900, 0, 1, 0, 0x01100007, 64, 48, 96, 64, 0, 0)
    bench.within(lambda: bench.emulated._transfers.extendleft([b"half", leader]))
    bench.within(lambda: bench.emulated._held.appendleft(2))
    bench.within(lambda: bench.emulated.changed())
    with pytest.raises(ProtocolError, match="4 of 6144 bytes of frame 900"):
        camera.read(1.0)
    assert camera.read(1.0).image.shape == (48, 64)


def test_a_frame_that_ends_as_another_is_dropped(camera: U3vCamera, bench: Any) -> None:
    camera.configure(0.005, 50.0, REGION)
    camera.start()
    camera.read(1.0)
    leader = struct.pack("<IHHQHHQIIIIIHH", 0x4C563355, 0, 52, 900, 0, 1, 0, 0x01100007, 64, 48, 96, 64, 0, 0)
    trailer = struct.pack("<IHHQHHQI", 0x54563355, 0, 32, 901, 0xA100, 0, 6144, 48)  # data discarded
    bench.within(lambda: bench.emulated._transfers.extendleft([trailer, bytes(6144), leader]))
    bench.within(lambda: bench.emulated._held.appendleft(3))
    bench.within(lambda: bench.emulated.changed())
    with pytest.raises(ProtocolError, match="frame 900 ends as frame 901 with status 0xa100"):
        camera.read(1.0)
    assert camera.read(1.0).image.shape == (48, 64)


def test_it_streams_with_its_own_settings_when_none_are_made(camera: U3vCamera) -> None:
    camera.start()
    frame = camera.read(1.0)
    assert (frame.region, frame.exposure_s) == (camera.sensor, pytest.approx(0.005))


def test_a_camera_left_on_trigger_and_without_a_rate_runs_freely_at_the_rate_asked_for(
    camera: U3vCamera, bench: Any
) -> None:
    assert bench.emulated.memory.read(0x3003C, 8) == struct.pack("<II", 1, 0)  # it was delivered as 0 and 1
    camera.configure(0.001, 100.0, REGION)
    camera.start()
    frames = [camera.read(1.0) for _ in range(3)]
    assert frames[2].t_mid_ns - frames[1].t_mid_ns == pytest.approx(10_000_000, abs=100_000)


def test_a_device_that_is_no_camera_is_refused_and_released(bench: Any) -> None:
    emulated = bench.emulated
    plain = emulated.configuration_descriptor.replace(bytes([0xEF, 0x05, 0x02]), bytes([0xFF, 0x00, 0x00]))
    emulated.configuration_descriptor = plain
    with pytest.raises(ProtocolError, match="is not a USB3 Vision camera"):
        U3vCamera(bench.resource, bench.clock)
    del emulated.configuration_descriptor
    U3vCamera(bench.resource, bench.clock).close()


def test_an_endless_stream_without_a_leader_is_given_up(camera: U3vCamera, bench: Any) -> None:
    camera.configure(0.005, 0.5, REGION)
    camera.start()
    bench.within(lambda: bench.emulated._transfers.extend([b"noise"] * 5000))
    bench.within(lambda: bench.emulated._held.append(5000))
    bench.within(lambda: bench.emulated.changed())
    with pytest.raises(ProtocolError, match="no frame begins"):
        camera.read(20.0)


def test_the_time_on_a_frame_is_the_middle_of_its_exposure(camera: U3vCamera, bench: Any) -> None:
    camera.configure(0.010, 50.0, REGION)
    camera.start()
    before_ns = bench.clock.now_ns()
    frames = [camera.read(1.0) for _ in range(3)]
    exposures = bench.scene.exposures_ns[:3]
    step_ns = frames[2].t_mid_ns - frames[1].t_mid_ns
    assert step_ns == pytest.approx(20_000_000, abs=200_000)
    assert frames[0].t_mid_ns - before_ns > 4_000_000  # not before the middle of an exposure that begins after start
    if bench.resource.startswith("simusb"):  # one clock on both sides: the truth can be compared
        for frame, (t0_ns, t1_ns) in zip(frames, exposures, strict=True):
            assert frame.t_mid_ns == pytest.approx((t0_ns + t1_ns) / 2, abs=20_000)


def test_every_error_names_the_device(bench: Any) -> None:
    camera = U3vCamera(bench.resource, bench.clock, name="guide camera")
    camera.configure(0.1, 5.0, REGION)
    camera.start()
    with pytest.raises(HalError, match=r"^guide camera: "):
        camera.read(0.01)
    camera.close()


def test_reading_before_starting_is_refused(camera: U3vCamera) -> None:
    with pytest.raises(DeviceError, match="start it"):
        camera.read(0.01)
