"""USBTMC by its bytes (USBTMC 1.00 tables 1 to 9 and 37), without a wire."""

import pytest

from sim_hw.devices.scpi import Exchange, Scpi
from sim_hw.timeline import Timeline
from sim_hw.wires.contract import UsbStall
from sim_hw.wires.usbtmc import UsbTmc

# The first query of a host, *IDN?\n with tag 1, padded to four bytes, and its request for 253 bytes with tag 2.
ASK_IDENTITY = bytes.fromhex("0101fe00 06000000 01000000 2a49444e3f0a 0000".replace(" ", ""))
REQUEST = bytes.fromhex("0202fd00 fd000000 00000000".replace(" ", ""))


class Bench:
    def __init__(self, discards_interrupted: bool = True) -> None:
        self.timeline = Timeline()
        self.exchange = Exchange(self.timeline, Scpi("Maker,TOY,1,0", lambda: None), latency_s=0.001)
        self.device = UsbTmc(self.exchange, 0x1209, 2, ("Maker", "TOY", "1"), discards_interrupted)
        self.calls = 0
        self.device.changed = self._changed

    def _changed(self) -> None:
        self.calls += 1

    def out(self, data: bytes) -> None:
        self.device.bulk_out(0x02, data)

    def send(self, tag: int, text: bytes, end: int = 1) -> None:
        size = len(text).to_bytes(4, "little")
        self.out(bytes([1, tag, tag ^ 0xFF, 0]) + size + bytes([end, 0, 0, 0]) + text + bytes(-len(text) % 4))

    def request(self, tag: int, most: int = 512) -> None:
        self.out(bytes([2, tag, tag ^ 0xFF, 0]) + most.to_bytes(4, "little") + bytes(4))

    def read(self) -> bytes | None:
        return self.device.bulk_in(0x82, 512)

    def advance(self, ms: int) -> None:
        self.timeline.advance(self.timeline.now_ns + ms * 1_000_000)


def test_a_query_is_answered_after_its_latency_with_the_requests_tag() -> None:
    bench = Bench()
    bench.out(ASK_IDENTITY)
    bench.out(REQUEST)
    assert bench.read() is None
    bench.advance(1)
    assert bench.calls == 1
    assert bench.read() == bytes.fromhex("0202fd000e00000001000000") + b"Maker,TOY,1,0\n" + bytes(2)
    assert bench.read() is None


def test_a_message_may_come_in_parts_and_a_reply_may_leave_in_parts() -> None:
    bench = Bench()
    bench.send(1, b"*ID", end=0)
    bench.send(2, b"N?\n")
    bench.request(3, most=6)
    bench.advance(1)
    first = bench.read()
    assert first is not None
    assert first[8] == 0  # not the end
    assert first[12:18] == b"Maker,"
    bench.request(4, most=100)
    second = bench.read()
    assert second is not None
    assert second[1] == 4
    assert second[8] == 1
    assert second[12:20] == b"TOY,1,0\n"


def test_capabilities_are_24_bytes_that_say_488_and_remote_control() -> None:
    answer = Bench().device.control(0xA1, 7, 0, 0, b"", 24)
    assert len(answer) == 24
    assert answer[0] == 1
    assert answer[14] == 0x06


def test_the_status_byte_shows_a_waiting_message() -> None:
    bench = Bench()
    bench.out(ASK_IDENTITY)
    bench.advance(1)
    assert bench.device.control(0xA1, 128, 5, 0, b"", 3) == bytes([1, 5, 16])


def test_an_aborted_read_is_answered_not_in_progress_and_its_reply_waits() -> None:
    bench = Bench()
    bench.out(ASK_IDENTITY)
    bench.out(REQUEST)
    assert bench.device.control(0xA2, 3, 2, 0x82, b"", 2) == bytes([0x81, 2])
    bench.advance(5)
    assert bench.read() is None


def test_device_clear_forgets_the_reply_on_its_way() -> None:
    bench = Bench()
    bench.out(ASK_IDENTITY)
    assert bench.device.control(0xA1, 5, 0, 0, b"", 1) == b"\x01"
    assert bench.device.control(0xA1, 6, 0, 0, b"", 2) == b"\x01\x00"
    bench.request(2)
    bench.advance(5)
    assert bench.read() is None


def test_a_new_message_drops_an_unread_reply_as_488_2_demands() -> None:
    bench = Bench()
    bench.send(1, b"*IDN?\n")
    bench.advance(1)
    bench.send(2, b"*STB?;:SYST:ERR?\n")
    bench.advance(1)
    bench.request(3)
    assert (bench.read() or b"")[12:] == b'4;-410,"Query INTERRUPTED"\n' + bytes(1)


def test_an_instrument_that_does_not_drop_it_answers_the_next_query_with_the_last() -> None:
    bench = Bench(discards_interrupted=False)
    bench.send(1, b"*IDN?\n")
    bench.advance(1)
    bench.send(2, b"*STB?\n")
    bench.request(3)
    assert (bench.read() or b"")[12:25] == b"Maker,TOY,1,0"


def test_a_read_with_nothing_to_say_is_a_query_error() -> None:
    bench = Bench()
    bench.request(1)
    bench.send(2, b"SYST:ERR?\n")
    bench.advance(1)
    bench.request(3)
    assert (bench.read() or b"")[12:16] == b"-420"


@pytest.mark.parametrize("data", [b"", ASK_IDENTITY[:8], b"\x01\x01\x01" + ASK_IDENTITY[3:], b"\x7e" + REQUEST[1:]])
def test_a_malformed_header_stalls(data: bytes) -> None:
    with pytest.raises(UsbStall):
        Bench().out(data)


def test_an_unknown_class_request_stalls() -> None:
    with pytest.raises(UsbStall):
        Bench().device.control(0xA1, 99, 0, 0, b"", 1)
    with pytest.raises(UsbStall):
        Bench().device.control(0xC0, 7, 0, 0, b"", 24)
