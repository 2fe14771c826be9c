"""Physik Instrumente's own library, PIPython, drives the emulated controller over TCP and serial, with dynamics on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from reactor_loop import Loop

from sim_hw.devices.gcs2 import Gcs2
from sim_hw.devices.gcs2_mirror import Gcs2Mirror
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort
from sim_hw.wires.tcp import TcpServer

pytestmark = pytest.mark.stranger


@pytest.fixture
def library(package: Callable[[str], ModuleType]) -> ModuleType:
    package("pipython.pitools")
    return package("pipython")


@pytest.fixture
def stage(library: ModuleType, package: Callable[[str], ModuleType]) -> Iterator[Any]:
    socket_of_theirs: Any = package("pipython.pidevice.interfaces.pisocket").PISocket

    class ClosedOnce(socket_of_theirs):
        """The library closes its socket again when a device is forgotten, and fails."""

        def close(self) -> None:
            if self.connected:
                super().close()

    timeline = Timeline()
    with Loop(timeline) as loop:
        server = loop.call(lambda: TcpServer(loop.reactor, Gcs2(timeline)))
        with library.GCSDevice(gateway=ClosedOnce("127.0.0.1", server.port)) as device:
            yield device
        loop.call(server.close)


def test_it_references_and_moves_over_a_serial_line_at_its_baud_rate(
    library: ModuleType, package: Callable[[str], ModuleType]
) -> None:
    timeline = Timeline()
    with Loop(timeline) as loop:
        port = loop.call(lambda: PtyPort(SerialLine(timeline, Gcs2(timeline), 115_200), loop.reactor))
        theirs = package("pipython.pidevice.interfaces.piserial").PISerial(port.path, 115_200)
        commands = package("pipython.pidevice.gcs2.gcs2commands").GCS2Commands(
            package("pipython.pidevice.gcsmessages").GCSMessages(theirs)
        )
        homed(commands, library)
        commands.MOV("1", 5.0)
        library.pitools.waitontarget(commands, "1", timeout=20)
        assert commands.qPOS("1")["1"] == pytest.approx(5.0, abs=1e-6)
        theirs.close()
        loop.call(port.close)


def homed(stage: Any, library: ModuleType) -> Any:
    stage.SVO("1", True)
    stage.FRF("1")
    library.pitools.waitonreferencing(stage, timeout=20)
    return stage


def test_it_knows_the_controller_and_its_axis(stage: Any) -> None:
    assert "C-863.11" in stage.qIDN()
    assert stage.axes == ["1"]
    assert stage.qCST() == {"1": "M-111.1DG"}
    assert (stage.qTMN()["1"], stage.qTMX()["1"]) == (0.0, 25.0)
    assert stage.HasMOV()
    assert not stage.HasWAV_LIN()


def test_it_references_moves_and_reads_the_position(stage: Any, library: ModuleType) -> None:
    homed(stage, library)
    assert stage.qFRF("1")["1"]
    stage.VEL("1", 8.0)
    stage.MOV("1", 5.0)
    assert stage.IsMoving("1")["1"]
    library.pitools.waitontarget(stage, "1", timeout=20)
    assert stage.qPOS("1")["1"] == pytest.approx(5.0, abs=1e-6)
    stage.MVR("1", -1.0)
    library.pitools.waitontarget(stage, "1", timeout=20)
    assert stage.qPOS("1")["1"] == pytest.approx(4.0, abs=1e-6)
    stage.MOV("1", 20.0)
    stage.StopAll(noraise=True)
    assert stage.qPOS("1")["1"] < 20.0


@pytest.fixture
def mirror(library: ModuleType, package: Callable[[str], ModuleType]) -> Iterator[Any]:
    """Their device on the emulated E-727 with its tip/tilt platform."""
    timeline = Timeline()
    with Loop(timeline) as loop:
        port = loop.call(lambda: PtyPort(SerialLine(timeline, Gcs2Mirror(timeline), 115_200), loop.reactor))
        theirs = package("pipython.pidevice.interfaces.piserial").PISerial(port.path, 115_200)
        messages = package("pipython.pidevice.gcsmessages").GCSMessages(theirs)
        yield package("pipython.pidevice.gcs2.gcs2commands").GCS2Commands(messages)
        theirs.close()
        loop.call(port.close)


def test_it_tips_a_mirror_in_both_axes_at_once(mirror: Any, library: ModuleType) -> None:
    assert "E-727.3SD" in mirror.qIDN()
    assert list(mirror.axes) == ["1", "2"]
    assert mirror.qSPA("1", 0x7000601)["1"][0x7000601] == "\xb5rad"
    assert mirror.qTMX(["1", "2"]) == {"1": 2000.0, "2": 2000.0}
    mirror.SVO(["1", "2"], [True, True])
    mirror.MOV({"1": 1012.5, "2": 997.0})
    library.pitools.waitontarget(mirror, ["1", "2"], timeout=20)
    assert mirror.qPOS(["1", "2"]) == pytest.approx({"1": 1012.5, "2": 997.0}, abs=0.5)
    assert mirror.qONT(["1", "2"]) == {"1": True, "2": True}
    assert mirror.IsMoving(["1", "2"]) == {"1": False, "2": False}


def test_a_mirror_without_servo_or_beyond_its_stroke_is_an_error_of_theirs(mirror: Any, library: ModuleType) -> None:
    with pytest.raises(library.GCSError) as no_servo:
        mirror.MOV("1", 1100.0)
    assert no_servo.value == library.gcserror.E5_PI_CNTR_MOVE_WITHOUT_REF_OR_NO_SERVO
    mirror.SVO(["1", "2"], [True, True])
    with pytest.raises(library.GCSError) as beyond:
        mirror.MOV({"1": 1000.0, "2": 2100.0})
    assert beyond.value == library.gcserror.E7_PI_CNTR_POS_OUT_OF_LIMITS
    with pytest.raises(library.GCSError) as nobody:
        mirror.MOV("3", 1.0)
    assert nobody.value == library.gcserror.E15_PI_CNTR_INVALID_AXIS_IDENTIFIER


def test_it_maps_every_error_to_its_number(stage: Any, library: ModuleType) -> None:
    with pytest.raises(library.GCSError) as unreferenced:
        stage.MOV("1", 5.0)
    assert unreferenced.value == library.gcserror.E5_PI_CNTR_MOVE_WITHOUT_REF_OR_NO_SERVO
    homed(stage, library)
    for act, number in (
        (lambda: stage.MOV("1", 99.0), library.gcserror.E7_PI_CNTR_POS_OUT_OF_LIMITS),
        (lambda: stage.VEL("1", 99.0), library.gcserror.E8_PI_CNTR_VEL_OUT_OF_LIMITS),
        (lambda: stage.STP(), library.gcserror.E10_PI_CNTR_STOP),
        (lambda: stage.MOV("9", 1.0), library.gcserror.E15_PI_CNTR_INVALID_AXIS_IDENTIFIER),
        (lambda: stage.send("NIX 1"), library.gcserror.E2_PI_CNTR_UNKNOWN_COMMAND),
    ):
        with pytest.raises(library.GCSError) as told:
            act()
        assert told.value == number
    assert stage.qERR() == 0
