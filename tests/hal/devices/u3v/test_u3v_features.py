"""GenICam files as other makers write them, and what the driver says when one asks too much."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from hal.devices.u3v import bootstrap
from hal.devices.u3v.features import Features
from hal.errors import DeviceError, ProtocolError

NAMESPACE = "http://www.genicam.org/GenApi/Version_1_1"


class Memory:
    """A control channel that is only memory."""

    ack_max = command_max = 64
    response_s = 0.5

    def __init__(self, size: int = 8192) -> None:
        self.data = bytearray(size)

    def read(self, address: int, n: int) -> bytes:
        return bytes(self.data[address : address + n])

    def write(self, address: int, data: bytes) -> None:
        if address == 0x0FFC:
            raise DeviceError("camera: refuses", code=0x8006)
        self.data[address : address + len(data)] = data

    def read_u32(self, address: int) -> int:
        return int.from_bytes(self.read(address, 4), "little")

    def read_u64(self, address: int) -> int:
        return int.from_bytes(self.read(address, 8), "little")


def features(body: str, memory: Memory | None = None) -> Features:
    xml = f'<RegisterDescription xmlns="{NAMESPACE}">{body}</RegisterDescription>'
    return Features(xml.encode(), memory or Memory(), "camera")  # type: ignore[arg-type]


def register(name: str, address: str, length: int, more: str = "", kind: str = "IntReg") -> str:
    return f'<{kind} Name="{name}"><Address>{address}</Address><Length>{length}</Length>{more}</{kind}>'


def test_addresses_add_up_and_may_be_decimal_or_hexadecimal() -> None:
    memory = Memory()
    found = features(
        '<Integer Name="Width"><pValue>W</pValue></Integer>'
        '<IntReg Name="W"><Address>0x100</Address><Address>16</Address><Length>4</Length></IntReg>',
        memory,
    )
    found.set("Width", 640)
    assert struct.unpack_from("<I", memory.data, 0x110)[0] == 640
    assert found.get("Width") == 640


def test_endianness_sign_and_length_are_the_registers_own() -> None:
    memory = Memory()
    found = features(
        '<Integer Name="A"><pValue>AReg</pValue></Integer>'
        + register("AReg", "0x10", 2, "<Sign>Signed</Sign><Endianess>BigEndian</Endianess>")
        + '<Float Name="B"><pValue>BReg</pValue></Float>'
        + register("BReg", "0x20", 4, kind="FloatReg"),
        memory,
    )
    found.set("A", -2)
    assert memory.data[0x10:0x12] == b"\xff\xfe"
    found.set("B", 1.5)
    assert memory.data[0x20:0x24] == struct.pack("<f", 1.5)
    assert (found.get("A"), found.get("B")) == (-2, 1.5)


def test_a_feature_may_point_to_a_feature() -> None:
    memory = Memory()
    found = features(
        '<Integer Name="Rate"><pValue>Raw</pValue></Integer><Integer Name="Raw"><pValue>R</pValue></Integer>'
        + register("R", "8", 8),
        memory,
    )
    found.set("Rate", 5)
    assert memory.read_u64(8) == 5


def test_enumerations_are_set_by_the_names_of_their_entries() -> None:
    memory = Memory()
    found = features(
        '<Enumeration Name="PixelFormat"><EnumEntry Name="Mono8"><Value>0x01080001</Value></EnumEntry>'
        '<EnumEntry Name="Mono16"><Value>17825799</Value></EnumEntry><pValue>P</pValue></Enumeration>'
        + register("P", "4", 4),
        memory,
    )
    found.choose("PixelFormat", "Mono16")
    assert memory.read_u32(4) == 0x01100007
    with pytest.raises(DeviceError, match="PixelFormat cannot be Mono12"):
        found.choose("PixelFormat", "Mono12")


def test_increments_are_one_unless_the_file_states_them() -> None:
    found = features('<Integer Name="A"><pValue>R</pValue><Inc>16</Inc></Integer><Integer Name="B"/>')
    assert (found.increment("A"), found.increment("B")) == (16, 1)
    assert (found.has("A"), found.has("C")) == (True, False)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("", "has no feature Gain"),
        ('<Float Name="Gain"><pValue>C</pValue></Float><Converter Name="C"/>', "described by a Converter"),
        ('<Float Name="Gain"><Value>1</Value></Float>', "described by a Float"),
        ('<Float Name="Gain"><pValue>X</pValue></Float>', "has no feature X"),
        ('<Float Name="Gain"><pValue>Gain</pValue></Float>', "in a circle"),
        (register("Gain", "0", 3), "has 3 bytes"),
        ('<IntReg Name="Gain"><Address>0</Address></IntReg>', "gives Gain no Length"),
    ],
)
def test_a_feature_that_cannot_be_used_is_one_sentence(body: str, sentence: str) -> None:
    with pytest.raises((DeviceError, ProtocolError), match=sentence):
        features(body).get("Gain")


def test_values_that_do_not_fit_and_values_that_are_refused_name_the_feature() -> None:
    with pytest.raises(DeviceError, match="Width cannot be -1"):
        features('<Integer Name="Width"><pValue>W</pValue></Integer>' + register("W", "0", 4)).set("Width", -1)
    with pytest.raises(DeviceError, match="refuses Width = 8") as caught:
        features('<Integer Name="Width"><pValue>W</pValue></Integer>' + register("W", "0xFFC", 4)).set("Width", 8)
    assert caught.value.code == 0x8006


def test_a_file_that_is_no_xml_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="not XML"):
        Features(b"<Register", Memory(), "camera")  # type: ignore[arg-type]


def camera_memory(file: bytes, schema: int, size: int | None = None, limit: int = 1024) -> Memory:
    memory = Memory()
    struct.pack_into("<I", memory.data, 0x1CC, 300)
    struct.pack_into("<QQ", memory.data, 0x1D0, 0x400, 0x600)  # manifest, SBRM
    struct.pack_into("<Q", memory.data, 0x1FC, 8)  # a tick is 8 ns
    struct.pack_into("<QIIQQ", memory.data, 0x400, 1, 0, schema, 0x800, len(file) if size is None else size)
    struct.pack_into("<II", memory.data, 0x614, limit, limit)
    struct.pack_into("<Q", memory.data, 0x620, 0x700)
    memory.data[0x800 : 0x800 + len(file)] = file
    return memory


def test_the_file_may_be_zipped() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("camera.xml", b"<xml/>")
    memory = camera_memory(packed.getvalue(), 1 << 10)
    maps = bootstrap.read_maps(memory, "camera")  # type: ignore[arg-type]
    assert maps == bootstrap.Maps(0x700, 8, b"<xml/>")
    assert (memory.ack_max, memory.response_s) == (1024, 0.3)


@pytest.mark.parametrize(
    ("memory", "sentence"),
    [
        (camera_memory(b"no zip", 1 << 10), "cannot be read"),
        (camera_memory(b"<xml/>", 0, size=0), "file of 0 bytes"),
        (camera_memory(b"<xml/>", 0, size=1 << 40), "file of 1099511627776 bytes"),
        (camera_memory(b"<xml/>", 0, limit=8), "packet limits of 8"),
    ],
)
def test_tables_that_make_no_sense_are_protocol_errors(memory: Memory, sentence: str) -> None:
    with pytest.raises(ProtocolError, match=sentence):
        bootstrap.read_maps(memory, "camera")  # type: ignore[arg-type]
