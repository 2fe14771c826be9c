"""Plays the log of a USB device back, below pyusb: the same transfers with the same answers.

On each endpoint the transfers come in the order of the log. What the driver sends must be what was sent then, unless
the replay is lenient. A read waits as long as it waited then.
"""

from __future__ import annotations

import array
import errno
from collections import defaultdict, deque
from collections.abc import Iterator

from usb.core import USBError, USBTimeoutError
from usb.util import CTRL_IN

from hal.clock import NS, Clock
from hal.errors import WireError
from hal.wires.replay import Script, load_session
from hal.wires.usb_described import DescribedBackend, fill
from hal.wires.wirelog import Entry, bulk, control

GET_DESCRIPTOR, STRING, ENGLISH = 6, 3, 0x0409
_ERRNO = {"WireTimeout": errno.ETIMEDOUT, "DeviceError": errno.EPIPE}


class ReplayBackend(DescribedBackend):
    """A pyusb backend with the one device of a log. Raises ResourceError when there is none."""

    def __init__(self, resource: str, clock: Clock, name: str = "camera") -> None:
        super().__init__()
        self._session = load_session(resource, name, "usb")
        self._clock = clock
        self._name = name
        self._scripts: dict[str, Script] = {}
        self._answers: defaultdict[str, deque[Entry]] = defaultdict(deque)
        for entry in self._session.entries:
            if entry.what in ("<", "!"):
                self._answers[entry.on].append(entry)

    def _descriptor(self, kind: int, length: int) -> bytes:
        told = self._session.opened.more
        return bytes.fromhex(told["device_descriptor" if kind == 1 else "configuration_descriptor"])[:length]

    def _place(self) -> tuple[int, int, int]:
        return 0, 1, 0

    # Finding and opening

    def enumerate_devices(self) -> Iterator[str]:
        """The device of the log."""
        yield str(self._session.path)

    def open_device(self, dev: str) -> str:
        """The device is its own handle."""
        return dev

    def close_device(self, dev_handle: str) -> None:
        """Nothing to release."""

    def set_configuration(self, dev_handle: str, config_value: int) -> None:
        """There is one."""

    def get_configuration(self, dev_handle: str) -> int:
        """The one that there is."""
        return int(self._tree().fields.bConfigurationValue)

    def set_interface_altsetting(self, dev_handle: str, intf: int, altsetting: int) -> None:
        """Taken."""

    def claim_interface(self, dev_handle: str, intf: int) -> None:
        """Granted."""

    def release_interface(self, dev_handle: str, intf: int) -> None:
        """Nothing to release."""

    def is_kernel_driver_active(self, dev_handle: str, intf: int) -> bool:
        """No kernel has it."""
        return False

    def clear_halt(self, dev_handle: str, ep: int) -> None:
        """Nothing is halted."""

    def reset_device(self, dev_handle: str) -> None:
        """Nothing to reset."""

    # Transfers

    def ctrl_transfer(
        self, dev_handle: str, bmRequestType: int, bRequest: int, wValue: int, wIndex: int,
        data: array.array[int], timeout: int,
    ) -> int:  # fmt: skip
        """One control transfer; the argument names are pyusb's. Strings are answered from the log's first line."""
        if bmRequestType == CTRL_IN and bRequest == GET_DESCRIPTOR and wValue >> 8 == STRING:
            return fill(data, self._string(wValue & 0xFF))
        on = control(bmRequestType, bRequest, wValue, wIndex)
        if bmRequestType & CTRL_IN:
            return fill(data, self._answer(on, timeout))
        return self._send(on, bytes(data))

    def bulk_write(self, dev_handle: str, ep: int, intf: int, data: array.array[int], timeout: int) -> int:
        """One OUT transfer."""
        return self._send(bulk(ep), bytes(data))

    def bulk_read(self, dev_handle: str, ep: int, intf: int, buff: array.array[int], timeout: int) -> int:
        """One IN transfer: the next of its endpoint."""
        return fill(buff, self._answer(bulk(ep), timeout))

    intr_write = bulk_write
    intr_read = bulk_read

    def _send(self, on: str, data: bytes) -> int:
        if on not in self._scripts:
            self._scripts[on] = Script(self._session, self._name, on)
        try:
            sent = self._scripts[on].send(data)
        except WireError as error:
            raise USBError(str(error), errno=errno.EIO) from error
        for index in sent:
            after = next((entry for entry in self._session.entries[index + 1 :] if entry.on == on), None)
            if after is not None and after.what == "!":
                raise _failure(after)
        return len(data)

    def _answer(self, on: str, timeout_ms: int) -> bytes:
        if not self._answers[on]:
            self._clock.sleep_until(self._clock.now_ns() + timeout_ms * NS // 1000)
            raise USBTimeoutError(f"the log has no more on {on}", errno=errno.ETIMEDOUT)
        entry = self._answers[on].popleft()
        self._clock.sleep_until(self._clock.now_ns() + entry.took_ns)
        if entry.what == "<":
            return entry.data
        raise _failure(entry)

    def _string(self, index: int) -> bytes:
        """A string descriptor (USB 2.0, 9.6.7): the languages, or the serial number whatever is asked for."""
        text = str(self._session.opened.more.get("serial_number", "")).encode("utf-16-le")
        content = ENGLISH.to_bytes(2, "little") if index == 0 else text
        return bytes([2 + len(content), STRING]) + content


def _failure(entry: Entry) -> USBError:
    code = _ERRNO.get(str(entry.more.get("error")), errno.ENODEV)
    return (USBTimeoutError if code == errno.ETIMEDOUT else USBError)("as recorded", errno=code)
