"""Descriptors of devices that are what they say, and of devices that are not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from usb.core import USBError

from hal.wires.usb_descriptors import configuration, device_descriptor

# USB 2.0 tables 9-8, 9-10, 9-12, 9-13; the association is of the Interface Association Descriptor ECN
ASSOCIATION = bytes([8, 0x0B, 0, 2, 0xEF, 5, 0, 0])
TREE = (
    struct.pack("<BBHBBBBB", 9, 2, 64, 2, 1, 0, 0x80, 250)
    + ASSOCIATION
    + bytes([9, 4, 0, 0, 1, 0xEF, 5, 0, 0])
    + bytes([3, 0x24, 1])
    + struct.pack("<BBBBHB", 7, 5, 0x81, 2, 512, 0)
    + bytes([9, 4, 1, 0, 0, 0xEF, 5, 2, 0])
    + bytes([9, 4, 1, 1, 1, 0xEF, 5, 2, 0])
    + struct.pack("<BBBBHB", 7, 5, 0x82, 2, 1024, 0)
)


def test_a_tree_has_interfaces_settings_and_endpoints_with_what_follows_them() -> None:
    found = configuration(TREE)
    assert found.fields.extra_descriptors == list(ASSOCIATION)
    control, stream = found.interfaces
    assert control[0].fields.extra_descriptors == [3, 0x24, 1]
    assert [e.bEndpointAddress for e in control[0].endpoints] == [0x81]
    assert [(s.fields.bAlternateSetting, len(s.endpoints)) for s in stream] == [(0, 0), (1, 1)]
    assert stream[1].endpoints[0].wMaxPacketSize == 1024


@pytest.mark.parametrize("data", [b"", b"\x12\x01", TREE[:8], TREE[:9] + b"\x04\x04\x00\x00"])
def test_a_descriptor_that_is_too_short_is_an_error_of_usb(data: bytes) -> None:
    with pytest.raises(USBError, match="too short"):
        configuration(data)
    with pytest.raises(USBError, match="too short"):
        device_descriptor(data[:17])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120))
def test_no_bytes_do_worse_than_an_error_of_usb(data: bytes) -> None:
    for parse in (configuration, device_descriptor):
        try:
            parse(TREE[:9] + data if len(data) % 2 else data)
        except USBError:
            continue
