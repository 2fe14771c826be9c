"""Rig files: everything wrong is found at once and said in sentences; emulated never arms real."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from hal.clock import RealClock
from hal.drivers import DRIVERS
from hal.errors import ResourceError, RigError
from hal.rig import DEVICES, OPTIONAL, RfStation, Rig, as_terminal, at_emulators, emission_lock, load_rig, open_device
from hal.wires.visa import resource_manager

EXAMPLE = Path("controller/data/rigs/ogs.toml")
REAL = {
    "gimbal": "serial:///dev/boresight/gimbal",
    "camera": "usb://1209:0001/CAM1",
    "beam_board": "serial:///dev/boresight/beamboard",
    "laser": "visa://USB0::0x1313::0x804a::M00404162::INSTR",
    "power_meter": "visa://USB0::0x1313::0x8078::P0009084::INSTR",
}


@pytest.fixture
def text(pytestconfig: pytest.Config) -> str:
    """The shipped example, every device with a real resource."""
    text = (pytestconfig.rootpath / EXAMPLE).read_text()
    for resource in REAL.values():  # the example's devices are in this order
        text = text.replace('\nresource = "emulated"', f'\nresource = "{resource}"', 1)
    return text


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "rig.toml"
        path.write_text(text)
        return path

    return write


def problems(path: Path) -> list[str]:
    with pytest.raises(RigError) as caught:
        load_rig(path)
    for problem in caught.value.problems:
        assert problem.startswith(f"{path}: ")
        assert problem.endswith(".")
        assert "\n" not in problem
    return [problem.removeprefix(f"{path}: ").removesuffix(".") for problem in caught.value.problems]


def test_the_example_is_a_valid_rig(text: str, write: Callable[[str], Path]) -> None:
    rig = load_rig(write(text))

    assert rig.station.latitude_deg == 28.2995
    assert rig.gimbal.rate_max_rad_s == pytest.approx(0.05235987755982988)  # 3 degrees
    assert rig.bus.base_port == 5560
    assert rig.emulated == frozenset()


WRONG = [
    ("rate_max_deg_s", "rate_max_rad_s", "[gimbal] rate_max_rad_s is not known; did you mean rate_max_deg_s (the unit"),
    ("wavelength_nm = 1550.0\n\n", "wavelength_m = 1550.0\n\n", "did you mean wavelength_nm (the unit"),
    ("latitude_deg", "lattitude_deg", "[station] lattitude_deg is not known; did you mean latitude_deg"),
    ("[optics]", "[optic]", "[optic] is not known; did you mean optics? Allowed: station, gimbal"),
    ('"nexstar"', '"nexstr"', '[gimbal] driver: there is no driver "nexstr"; did you mean nexstar? Allowed: nexstar'),
    ('"u3v"', '"nexstar"', '[camera] driver: there is no driver "nexstar". Allowed: u3v'),
    ("latitude_deg = 28.2995", "latitude_deg = 1693.0", "[station] latitude_deg = 1693.0 is not allowed; write -90 or"),
    ("baud = 9600", 'baud = "fast"', '[gimbal] baud = "fast" is not allowed; write a whole number'),
    ("baud = 9600", "baud = 9600.5", "[gimbal] baud = 9600.5 is not allowed; write a whole number"),
    ("height_m = 2393.0", "height_m = true", "[station] height_m = true is not allowed; write a number"),
    ("height_m = 2393.0", "height_m = nan", "[station] height_m = nan is not allowed; write a finite number"),
    ("exposure_s = 0.005", "exposure_s = 0.05", "longer than one frame at frame_rate_hz = 50; at most 0.02 s fits"),
    ("current_a = 1.0", "current_a = 1.3", "[laser]: current_a = 1.3 is above current_limit_a = 1.2"),
    ("power_cap_w = 1.2", "", "[safety]: enclosed_bench = true needs power_cap_w"),
    ('name = "ogs"', 'name = "OGS 1"', '[station] name = "OGS 1" is not allowed; write small letters'),
    ("height_m = 2393.0", "", "[station] height_m is missing"),
    ("motion_cut_off", "#", "[gimbal] motion_cut_off is missing; say what a person uses to stop the mount when host"),
    ("motion_cut_off =", 'motion_cut_off = "" #', '[gimbal] motion_cut_off = "" is not allowed; write a few words'),
    (REAL["gimbal"], "/dev/ttyUSB0", 'resource = "/dev/ttyUSB0" is no address; write serial:///dev/... or socket://'),
    (REAL["gimbal"], "emulated", '[gimbal] resource = "emulated" is no address'),
    (REAL["gimbal"], "usb://1:2/3", 'resource = "usb://1:2/3" is nothing that nexstar opens; write serial://'),
    (REAL["beam_board"], REAL["gimbal"], "[beam_board] resource = .* is the same port as [gimbal] has"),
]


@pytest.mark.parametrize(("right", "wrong", "sentence"), WRONG)
def test_each_mistake_is_one_sentence_with_key_and_remedy(
    text: str, write: Callable[[str], Path], right: str, wrong: str, sentence: str
) -> None:
    assert right in text
    found = problems(write(text.replace(right, wrong, 1)))

    assert len(found) == 1
    for part in sentence.split(".*"):
        assert part in found[0]


def test_every_mistake_is_found_at_once(text: str, write: Callable[[str], Path]) -> None:
    for right, wrong in (
        ("rate_max_deg_s", "rate_max_rad_s"),
        ('"pm100d"', '"pm200d"'),
        ("latitude_deg = 28.2995", "latitude_deg = 128.0"),
        (REAL["beam_board"], REAL["gimbal"]),
        ("sun_cone_deg = 30.0", 'sun_cone_deg = "30"'),
    ):
        text = text.replace(right, wrong, 1)

    assert len(problems(write(text))) == 5


def test_two_links_to_one_port_are_one_port(tmp_path: Path, text: str, write: Callable[[str], Path]) -> None:
    (tmp_path / "real").write_text("")
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(tmp_path / "real")
    text = text.replace(REAL["gimbal"], f"serial://{tmp_path}/a").replace(REAL["beam_board"], f"serial://{tmp_path}/b")

    assert any("same port" in problem for problem in problems(write(text)))


@pytest.mark.parametrize(("content", "sentence"), [(b"[gimbal\n", "is not TOML"), (b"\xff\xfe", "cannot be read")])
def test_what_is_no_rig_file_is_told(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "rig.toml"
    path.write_bytes(content)
    assert sentence in problems(path)[0]


def test_a_missing_file_names_the_example(tmp_path: Path) -> None:
    assert "no such rig file; controller/data/rigs/ogs.toml" in problems(tmp_path / "rig.toml")[0]


def test_a_laser_without_an_enable_line_is_refused(text: str, write: Callable[[str], Path]) -> None:
    text = text[: text.index("[beam_board]")] + text[text.index("[laser]") :]
    assert problems(write(text)) == [
        "[beam_board] is missing; a laser is driven behind the enable line of a beam board only"
    ]


def test_a_section_that_is_no_section_is_told(text: str, write: Callable[[str], Path]) -> None:
    start = text.index("[link]")
    text = "link = 3\n" + text[:start] + text[text.index("[safety]") :]
    assert problems(write(text)) == ["[link] = 3 is not allowed; write a section"]


def test_an_address_from_outside_makes_a_device_emulated_and_only_that_one(
    text: str, write: Callable[[str], Path]
) -> None:
    rig = load_rig(write(text.replace(REAL["camera"], "emulated")), {"camera": "usbip://127.0.0.1:3240/1-1"})

    assert rig.emulated == {"camera"}
    assert rig.camera.resource == "usbip://127.0.0.1:3240/1-1"
    assert rig.gimbal.resource == REAL["gimbal"]


def test_an_emulator_never_takes_the_place_of_a_real_resource(text: str, write: Callable[[str], Path]) -> None:
    with pytest.raises(RigError, match=r"\[laser\] resource = .* is real; an emulator may not replace it"):
        load_rig(write(text), {"laser": "visa://TCPIP0::127.0.0.1::5025::SOCKET"})


def rig_with(emulated: set[str], text: str, write: Callable[[str], Path]) -> Rig:
    for device in emulated:
        text = text.replace(REAL[device], "emulated")
    return load_rig(write(text), {device: f"simhw://{device}" for device in emulated})


@pytest.mark.parametrize("real", list(product([False, True], repeat=len(DEVICES))))
def test_emulated_never_arms_real_in_every_pairing(
    text: str, write: Callable[[str], Path], real: tuple[bool, ...]
) -> None:
    emulated = {device for device, is_real in zip(DEVICES, real, strict=True) if not is_real}
    reasons = emission_lock(rig_with(emulated, text, write))

    emits_really = not {"laser", "beam_board"} <= emulated
    assert len(reasons) == (len(emulated) if emits_really else 0)
    for device, reason in zip((d for d in DEVICES if d in emulated), reasons, strict=False):
        assert reason.startswith(f"{device} is emulated")


def test_simulated_time_locks_real_emission(text: str, write: Callable[[str], Path]) -> None:
    rig = rig_with(set(), text, write)

    assert emission_lock(rig, realtime=False) == ["time is simulated and laser and beam_board are real"]
    assert emission_lock(rig) == []


class SimulatedClock(RealClock):
    realtime = False


def test_simulated_time_refuses_a_real_resource(text: str, write: Callable[[str], Path]) -> None:
    with pytest.raises(ResourceError, match="simulated time drives emulated devices only"):
        open_device(rig_with(set(), text, write), "gimbal", SimulatedClock())


ABSENT = {
    "gimbal": ("serial:///dev/boresight/no_such_port", "does not exist"),
    "camera": ("usbip://127.0.0.1:1/1-1", "nobody answers"),
    "beam_board": ("socket://127.0.0.1:1", "refuses"),
    "laser": ("visa://TCPIP0::127.0.0.1::1::SOCKET", "refuse"),
    "power_meter": ("visa://TCPIP0::127.0.0.1::2::SOCKET", "refuse"),
}


@pytest.fixture(scope="module")
def libusb() -> None:
    """libusb opens a socket of its own when it is first used, and keeps it until the process ends."""
    resource_manager().close()


@pytest.mark.usefixtures("libusb")
@pytest.mark.parametrize("device", DEVICES)
def test_a_device_that_is_not_there_is_named_when_it_is_opened(
    text: str, write: Callable[[str], Path], device: str
) -> None:
    """Also proves that every row of the driver table reaches its driver."""
    resource, reason = ABSENT[device]
    rig = load_rig(write(text.replace(REAL[device], resource)))
    with pytest.raises(ResourceError, match=reason) as caught:
        open_device(rig, device, RealClock())
    assert device in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_device_of_a_rig_has_a_driver_that_says_what_stops_it() -> None:
    assert {device for driver in DRIVERS.values() for device in (driver.device, *driver.also)} == {*DEVICES, *OPTIONAL}
    for driver in DRIVERS.values():
        assert all((driver.stopped_by.process, driver.stopped_by.cable, driver.stopped_by.host))


def test_a_replayed_device_counts_as_emulated_and_locks_real_emission(text: str, write: Callable[[str], Path]) -> None:
    rig = load_rig(write(text.replace(REAL["camera"], "replay:///tmp/camera.wire.jsonl")))
    assert rig.emulated == {"camera"}
    assert any("camera is emulated and laser and beam_board are real" in reason for reason in emission_lock(rig))


def test_the_address_of_a_replay_may_be_given_again_and_no_other(text: str, write: Callable[[str], Path]) -> None:
    path = write(text.replace(REAL["camera"], "replay:///tmp/camera.wire.jsonl"))
    assert load_rig(path, {"camera": "replay:///tmp/camera.wire.jsonl"}).emulated == {"camera"}
    with pytest.raises(RigError, match="an emulator may not replace it"):
        load_rig(path, {"camera": "usbip://127.0.0.1:3240/1-1"})


def test_a_clearinghouse_message_needs_to_be_told_whose_it_is(text: str, write: Callable[[str], Path]) -> None:
    section = '\n[clearinghouse]\nfile = "pam.txt"\nmission_id = "TEST 1"\n'
    (found,) = problems(write(text + section))
    assert "[clearinghouse]: a message needs mission_id and operator" in found


def test_an_aircraft_feed_is_a_receiver_or_its_file(text: str, write: Callable[[str], Path]) -> None:
    (found,) = problems(write(text + '\n[aircraft]\nresource = "127.0.0.1:30003"\n'))
    assert '[aircraft] resource: "127.0.0.1:30003" is no aircraft feed; write tcp://HOST:PORT or file:///' in found


def test_a_file_beside_the_rig_is_named_without_a_folder(text: str, write: Callable[[str], Path]) -> None:
    section = '\n[clearinghouse]\nfile = "../pam.txt"\nmission_id = "TEST 1"\noperator = "EXAMPLE"\n'
    (found,) = problems(write(text + section))
    assert '[clearinghouse] file: "../pam.txt" is no plain file name; put the file beside the rig file' in found


@pytest.mark.parametrize("name", ["shutter", "divergence", "door"])
def test_a_read_back_that_the_driver_does_not_have_is_refused(
    text: str, write: Callable[[str], Path], name: str
) -> None:
    (found,) = problems(write(text.replace('reads_back = ["key"]', f'reads_back = ["key", "{name}"]')))
    assert f'[laser]: reads_back = "{name}": the driver itc4000 does not read that; it reads key' in found


SHUTTER = '\n[shutter]\ndriver = "sc10"\nresource = "serial:///dev/boresight/shutter"\n'


def test_a_rig_may_have_a_shutter_and_need_not(text: str, write: Callable[[str], Path]) -> None:
    assert load_rig(write(text)).devices == DEVICES
    rig = load_rig(write(text + SHUTTER))
    assert rig.devices == (*DEVICES, "shutter")
    assert rig.shutter is not None
    assert rig.shutter.baud == 9600
    assert emission_lock(rig) == []


@pytest.mark.parametrize("device", ["shutter", "camera", "star_camera", "gimbal", "power_meter"])
@pytest.mark.parametrize(
    "address",
    [
        "usbip://127.0.0.1:3240/1-1",
        "usbip://localhost:3240/1-1",
        "visa://TCPIP0::127.0.0.1::5025::SOCKET",
        "visa://USB0::0x1313::0x8078::P0009084::INSTR?usbip=127.0.0.1:3240/1-2",
        "PTY",
    ],
)
def test_an_emulator_that_is_named_by_its_own_address_locks_a_real_laser(
    text: str, write: Callable[[str], Path], device: str, address: str
) -> None:
    main, far = os.openpty()
    with os.fdopen(main), os.fdopen(far):
        link = write(text + SHUTTER).with_name("gimbal")
        link.symlink_to(os.ttyname(far))
        rig = load_rig(write(text + SHUTTER))
        resource = f"serial://{link}" if address == "PTY" else address
        section = (getattr(rig, device, None) or rig.camera).model_copy(update={"resource": resource})
        locked = emission_lock(rig.model_copy(update={device: section}))
        assert [reason.partition(" is at ")[0] for reason in locked] == [device]
        for alike in (
            "usbip://10.0.0.7:3240/1-1",
            "visa://TCPIP0::192.168.127.1::5025::SOCKET",
            "tcp://127.0.0.1:4533",
        ):
            assert not at_emulators(alike), "what real ones have, too"


@pytest.mark.parametrize("device", OPTIONAL)
def test_no_device_that_a_rig_may_have_is_emulated_beside_a_real_laser(
    text: str, write: Callable[[str], Path], device: str
) -> None:
    rig = load_rig(write(text + SHUTTER))
    rig = rig.model_copy(update={device: getattr(rig, device) or rig.shutter})
    assert emission_lock(rig) == []
    rig._emulated = frozenset({device})
    (reason,) = emission_lock(rig)
    assert reason.startswith(f"{device} is emulated and laser and beam_board are real")


def test_a_replayed_shutter_locks_a_real_laser(text: str, write: Callable[[str], Path]) -> None:
    path = write(text + SHUTTER.replace("serial:///dev/boresight/shutter", "replay:///tmp/shutter.wire.jsonl"))
    (reason,) = emission_lock(load_rig(path))
    assert reason.startswith("shutter is emulated and laser and beam_board are real")


def test_an_emulated_shutter_locks_a_real_laser(text: str, write: Callable[[str], Path]) -> None:
    path = write(text + SHUTTER.replace("serial:///dev/boresight/shutter", "emulated"))
    (reason,) = emission_lock(load_rig(path, {"shutter": "simhw://shutter"}))
    assert reason.startswith("shutter is emulated and laser and beam_board are real")


def test_what_is_wrong_with_a_shutter_is_told_as_of_any_device(text: str, write: Callable[[str], Path]) -> None:
    wrong = SHUTTER.replace('"sc10"', '"sc1O"').replace("resource", "resourc") + "baud = 1\n"
    found = problems(write(text + wrong))
    assert [sentence for sentence in found if "did you mean sc10? Allowed: sc10" in sentence]
    assert [sentence for sentence in found if "[shutter] resourc is not known; did you mean resource?" in sentence]
    assert [sentence for sentence in found if "[shutter] baud = 1 is not allowed; write" in sentence]


def test_a_shutter_that_the_rig_does_not_have_is_named_when_it_is_opened(
    text: str, write: Callable[[str], Path]
) -> None:
    absent = SHUTTER.replace("boresight/shutter", "boresight/no_such_port")
    with pytest.raises(ResourceError, match=r"shutter: .* does not exist"):
        open_device(load_rig(write(text + absent)), "shutter", RealClock())


@pytest.fixture
def station(pytestconfig: pytest.Config) -> str:
    """The shipped RF station, its rotator real."""
    text = (pytestconfig.rootpath / EXAMPLE.with_name("rf-station.toml")).read_text()
    return text.replace('resource = "emulated" ', f'resource = "{REAL["gimbal"]}" ')


def test_an_rf_station_has_an_antenna_and_nothing_that_emits(station: str, write: Callable[[str], Path]) -> None:
    rig = load_rig(write(station))
    assert isinstance(rig, RfStation)
    assert rig.devices == ("gimbal",)
    assert rig.receive_wavelength_m == pytest.approx(0.13354, abs=1e-5)  # c / 2245 MHz
    assert emission_lock(rig) == []
    with pytest.raises(ResourceError, match=r"laser: this rig has none; write \[laser\]"):
        open_device(rig, "laser", RealClock())
    with pytest.raises(RigError, match="is an RF station"):
        as_terminal(rig)


def test_a_laser_is_no_part_of_an_rf_station(station: str, write: Callable[[str], Path]) -> None:
    laser = '[laser]\ndriver = "itc4000"\nresource = "emulated"\n'
    found = problems(write(station + laser))
    assert any(problem.startswith("[laser] is not known; allowed: station, gimbal,") for problem in found)


def test_a_rig_without_an_antenna_needs_all_of_a_terminal(station: str, write: Callable[[str], Path]) -> None:
    found = problems(write(station.replace("[radio]\n", "[radoi]\n")))
    assert "[camera] is missing" in found
    assert "[laser] is missing" in found


@pytest.mark.parametrize(("mount", "low", "turn"), [("alt-az", -2.0, 720.0), ("equatorial", -92.0, 195.0)])
def test_the_axes_of_an_equatorial_mount_have_limits_of_their_own_unless_the_rig_gives_some(
    mount: str, low: float, turn: float, text: str, write: Callable[[str], Path]
) -> None:
    gimbal = load_rig(write(text.replace("[gimbal]", f'[gimbal]\nmount = "{mount}"'))).gimbal
    assert (gimbal.elevation_min_deg, gimbal.azimuth_min_deg, gimbal.azimuth_max_deg) == (low, -turn, turn)
    given = f'[gimbal]\nmount = "{mount}"\nelevation_min_deg = -40.0'
    assert load_rig(write(text.replace("[gimbal]", given))).gimbal.elevation_min_deg == -40.0


def test_where_the_axis_of_an_upright_mount_points_is_no_key(text: str, write: Callable[[str], Path]) -> None:
    (problem,) = problems(write(text.replace("[gimbal]", "[gimbal]\naxis_azimuth_deg = 3.0")))
    assert 'are of mount = "equatorial" or "alt-alt"' in problem
    (unknown,) = problems(write(text.replace("[gimbal]", '[gimbal]\nmount = "equatorail"')))
    assert "'equatorial'" in unknown
