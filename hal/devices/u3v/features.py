"""Features by name ("Width", "ExposureTime"), as the camera's own GenICam file describes them.

The file says in which register a feature lives. Registers, and features that point to them directly, are understood;
formulas (SwissKnife, Converter) are not, and a feature that needs one says so.
"""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from hal.devices.u3v.gencp import ControlChannel
from hal.errors import DeviceError, ProtocolError

REGISTERS = {"IntReg", "FloatReg"}
POINTERS = {"Integer", "Float", "Command", "Enumeration", "Boolean"}


@dataclass(frozen=True, slots=True)
class Register:
    """Where a value lives and how it is written."""

    address: int
    layout: str  # of struct


class Features:
    """Reads and writes features. Every method may also raise what the control channel raises."""

    def __init__(self, xml: bytes, control: ControlChannel, name: str) -> None:
        self._control, self._name = control, name
        try:
            root = ET.fromstring(xml)
        except ET.ParseError as error:
            raise ProtocolError(f"{name}: its GenICam file is not XML ({error}); update its firmware") from error
        self._nodes = {node.attrib["Name"]: node for node in root.iter() if "Name" in node.attrib}
        self._registers: dict[str, Register] = {}

    def has(self, feature: str) -> bool:
        """Whether the camera has this feature."""
        return feature in self._nodes

    def get(self, feature: str) -> float:
        """A feature's value; an integer stays one."""
        register = self._register(feature)
        data = self._control.read(register.address, struct.calcsize(register.layout))
        value: float = struct.unpack(register.layout, data)[0]
        return value

    def set(self, feature: str, value: float) -> None:
        """Set a number. Raises DeviceError when the camera refuses it."""
        register = self._register(feature)
        number = value if register.layout[-1] in "fd" else round(value)
        try:
            data = struct.pack(register.layout, number)
        except struct.error as error:
            raise DeviceError(f"{self._name}: {feature} cannot be {value:g}; choose another value") from error
        try:
            self._control.write(register.address, data)
        except DeviceError as error:
            raise DeviceError(f"{self._name}: refuses {feature} = {value:g} ({error})", code=error.code) from error

    def choose(self, feature: str, entry: str) -> None:
        """Set an enumeration to the entry of this name."""
        for node in self._node(feature):
            if _tag(node) == "EnumEntry" and node.attrib.get("Name") == entry:
                self.set(feature, _number(self._text(node, "Value", feature)))
                return
        raise DeviceError(f"{self._name}: {feature} cannot be {entry}; the camera does not offer it")

    def execute(self, feature: str) -> None:
        """Run a command."""
        self.set(feature, _number(self._text(self._node(feature), "CommandValue", feature)))

    def increment(self, feature: str) -> int:
        """The step of an integer feature; 1 when the file states none."""
        text = _child(self._node(feature), "Inc")
        return 1 if text is None else max(1, _number(text))

    def _register(self, feature: str) -> Register:
        if feature not in self._registers:
            self._registers[feature] = self._resolve(feature)
        return self._registers[feature]

    def _resolve(self, feature: str) -> Register:
        node = self._node(feature)
        for _ in range(8):  # a chain of pointers; longer ones are a circle
            tag = _tag(node)
            if tag in REGISTERS:
                return self._described(node, feature)
            pointer = _child(node, "pValue") if tag in POINTERS else None
            if pointer is None:
                raise DeviceError(
                    f"{self._name}: {feature} is described by a {tag}, which this driver does not understand; "
                    "use a camera that keeps it in a register"
                )
            node = self._node(pointer)
        raise ProtocolError(f"{self._name}: {feature} points around in a circle; update the camera's firmware")

    def _described(self, node: ET.Element, feature: str) -> Register:
        address = sum(_number(child.text or "") for child in node if _tag(child) == "Address")
        length = _number(self._text(node, "Length", feature))
        order = ">" if _child(node, "Endianess") == "BigEndian" else "<"
        letters = {4: "f", 8: "d"} if _tag(node) == "FloatReg" else {1: "B", 2: "H", 4: "I", 8: "Q"}
        if length not in letters:
            raise ProtocolError(f"{self._name}: {feature} has {length} bytes; update the camera's firmware")
        letter = letters[length]
        return Register(address, order + (letter.lower() if _child(node, "Sign") == "Signed" else letter))

    def _node(self, name: str) -> ET.Element:
        if name not in self._nodes:
            raise DeviceError(f"{self._name}: has no feature {name}; use a camera that has it")
        return self._nodes[name]

    def _text(self, node: ET.Element, tag: str, feature: str) -> str:
        text = _child(node, tag)
        if text is None:
            raise ProtocolError(f"{self._name}: its file gives {feature} no {tag}; update the camera's firmware")
        return text


def _tag(node: ET.Element) -> str:
    return node.tag.rpartition("}")[2]


def _child(node: ET.Element, tag: str) -> str | None:
    for child in node:
        if _tag(child) == tag:
            return (child.text or "").strip()
    return None


def _number(text: str) -> int:
    """Decimal or hexadecimal, as GenICam files write integers; 0 where it is neither."""
    try:
        return int(text.strip(), 0)
    except ValueError:
        return 0
