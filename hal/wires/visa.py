"""Text instruments through PyVISA with its pure Python backend: USBTMC, raw sockets, and whatever else it opens.

After any time-out the wire is re-synchronised before it is used again, so that a late reply is never the answer to
the next query: USBTMC by the standard's device clear (which pyvisa-py does not offer, so its class requests are sent
here), raw sockets by closing and opening again, since a reply belongs to its connection, others by VISA's clear.
Where that fails, the wire stays refused until it succeeds.

Time-outs. Over USB they are counted by the USB backend: real milliseconds with libusb, simulated ones with the
in-process twin; pyvisa-py's own loop reads time.time() only after a transfer that brought nothing, which no device
of ours makes. Over sockets pyvisa-py counts wall time itself, so a raw socket is for real time only. Opening takes
10 ms of wall time in pyvisa-py and none of simulated time.
"""

from __future__ import annotations

import errno
import importlib
import re
import socket
import struct
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import usb.backend.libusb1

from hal.clock import NS, Clock, Deadline
from hal.errors import HalError, ProtocolError, ResourceError, WireError, WireTimeout
from hal.wires.usbip import UsbipBackend

if TYPE_CHECKING:
    import pyvisa

SCHEME = "visa://"
USBIP, BAUD = "usbip=", "baud="  # what may follow a question mark
USB_REQUEST_BYTES = 1 << 16  # longest reply over USBTMC; pyusb fills a buffer of that many zeros for every query
MARKERS = 2  # attempts to find the place in what a serial line says
MARKER_KINDS = 9  # asked in turn
_NETWORK = re.compile(
    r"TCPIP\d*::(?P<host>[^:,]+)(,(?P<vxi11>\d+))?::(hislip\d*,(?P<hislip>\d+)|.*)::INSTR", re.IGNORECASE
)
OPEN_TIMEOUT_S = 2.0

# USBTMC 1.00, tables 15 and 16
_INITIATE_CLEAR, _CHECK_CLEAR_STATUS = 5, 6
_SUCCESS, _PENDING = 1, 2
_CLASS_INTERFACE_IN = 0xA1
_CLEAR_POLLS = 50
_CLEAR_POLL_S = 0.01


class _NoDevices:
    """Stands for libusb on a machine without it."""

    def enumerate_devices(self) -> Iterator[Any]:
        return iter(())


def resource_manager() -> pyvisa.ResourceManager:
    """The one of pyvisa-py; pyvisa keeps it, and another of our own would not see that somebody has closed it.

    When it is first imported pyvisa-py looks for libusb, and without it refuses every USB instrument from then on,
    exported ones, too, which need none.
    """
    import pyvisa  # a third of a second: only where an instrument is opened

    if "pyvisa_py" not in sys.modules:
        with _as_libusb(None if usb.backend.libusb1.get_backend() else _NoDevices()):
            importlib.import_module("pyvisa_py")
    # pyvisa-py warns of a damaged transfer and then guesses at its content; a guess is no measurement
    warnings.filterwarnings("error", message="Unexpected MsgID", category=UserWarning)
    return pyvisa.ResourceManager("@py")


@contextmanager
def _as_libusb(backend: Any) -> Iterator[None]:
    """Let pyusb take this one for libusb; None changes nothing."""
    before = usb.backend.libusb1._lib_object  # pyusb's own cache of its default backend
    usb.backend.libusb1._lib_object = backend or before
    try:
        yield
    finally:
        usb.backend.libusb1._lib_object = before


def pyvisa_errors() -> type[Exception]:
    """What pyvisa raises for a time-out."""
    import pyvisa

    return pyvisa.errors.VisaIOError


class VisaWire:
    """One open instrument; messages are lines of Latin-1 text ended by a line feed.

    `resource` is `visa://` and a VISA resource, e.g. `visa://USB0::0x1313::0x8078::P0009084::INSTR` or
    `visa://TCPIP0::192.0.2.7::5025::SOCKET`; `name` is the device's name in messages. A USB instrument that another
    machine (or an emulator) exports is `visa://USB0::...::INSTR?usbip=HOST:PORT/BUSID`; one on a serial line is
    `visa://ASRL/dev/ttyUSB0::INSTR?baud=115200`. HiSLIP and VXI-11 ports: `TCPIP0::HOST::hislip0,PORT::INSTR` and
    `TCPIP0::HOST,PORT::inst0::INSTR`.
    Raises ResourceError when it cannot be opened.
    """

    def __init__(self, resource: str, clock: Clock, name: str, timeout_s: float = 1.0) -> None:
        self.resource = resource
        self.name = name
        self.timeout_s = timeout_s
        self._clock = clock
        self._address, _, option = resource.removeprefix(SCHEME).partition("?")
        self._exporter = option.removeprefix(USBIP) if option.startswith(USBIP) else ""
        self._baud = int(option.removeprefix(BAUD)) if option.removeprefix(BAUD).isdigit() else 9600
        self._socket = self._address.upper().endswith("::SOCKET")
        self._usb = self._address.upper().startswith("USB")
        self._serial = self._address.upper().startswith("ASRL")
        self._in_step = True
        self._open: Any = None
        self._bus: UsbipBackend | None = None
        self._marker = 0
        if not resource.startswith(SCHEME):
            raise ResourceError(
                f'{name}: "{resource}" is no VISA resource; write visa://USB0::0x1313::...::INSTR or '
                f"visa://TCPIP0::HOST::PORT::SOCKET in the rig file, [{name}] resource."
            )
        self._connect()

    def write(self, message: str) -> None:
        """Send one message. Raises WireTimeout or WireError."""
        self._ready()
        with self._hal_errors(self.timeout_s):
            self._open.write_raw(message.encode("latin-1") + b"\n")

    def query(self, message: str, timeout_s: float | None = None) -> str:
        """Send one message and return its reply without the line feed.

        Raises WireTimeout (the wire is in step again, or will be before it is next used), WireError, and
        ProtocolError when the reply is not text.
        """
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        self._ready()
        with self._hal_errors(limit_s):
            self._open.timeout = max(1, round(limit_s * 1000))
            self._open.write_raw(message.encode("latin-1") + b"\n")
            reply: bytes = self._open.read_raw()
        if not reply.isascii():
            self._resynchronise()
            raise ProtocolError(f"{self.name}: {self._address} sent {reply[:32]!r}, which is no text; check the cable.")
        return reply.decode("ascii").rstrip("\r\n")

    def close(self) -> None:
        """Close the instrument; one that has gone away is closed, too."""
        if self._open is not None:
            tcp = getattr(self._session(), "interface", None) if self._socket else None
            with suppress(Exception):  # whatever the library raises for a device that is gone
                self._open.close()
            if isinstance(tcp, socket.socket):
                tcp.close()  # which the library forgets when the peer has hung up
            self._open = None
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    def _connect(self, limit_s: float = OPEN_TIMEOUT_S) -> None:
        """Open it; again in no more time than an answer may take, since somebody waits for that."""
        try:
            self._check_reachable(limit_s)
            with self._on_exporters_bus():
                self._open = resource_manager().open_resource(
                    self._address, open_timeout=round(limit_s * 1000), read_termination="\n"
                )
            if self._socket:
                self._check_connected()
            if self._serial:
                self._open.baud_rate = self._baud
            if self._usb:  # pyvisa-py ends a USBTMC message that is longer than one request
                self._open.chunk_size = USB_REQUEST_BYTES
        except Exception as error:  # pyvisa-py raises bare Exceptions as well
            self.close()
            raise ResourceError(self._why_not_open(error)) from error

    @contextmanager
    def _on_exporters_bus(self) -> Iterator[None]:
        """Let pyvisa-py, which asks pyusb for its default backend, find the exporter's device while it opens."""
        if not self._exporter:
            yield
            return
        place, _, busid = self._exporter.partition("/")
        host, _, port = place.rpartition(":")
        if not (host and port.isdigit() and busid):
            raise ValueError("write ?usbip=HOST:PORT/BUSID")
        self._bus = UsbipBackend(host, int(port), busid, self._clock)
        with _as_libusb(self._bus):
            yield

    def _check_reachable(self, limit_s: float) -> None:
        """pyvisa-py leaves its socket open when a HiSLIP or VXI-11 server refuses it: so it is not asked to."""
        if (network := _NETWORK.fullmatch(self._address)) and (port := network["hislip"] or network["vxi11"]):
            socket.create_connection((network["host"], int(port)), limit_s).close()

    def _check_connected(self) -> None:
        # pyvisa-py takes a refused connection for an open one
        code = self._session().interface.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, errno.errorcode.get(code, "refused"))
        self._session().interface.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _why_not_open(self, error: Exception) -> str:
        text = str(error)
        place = f"{self.name}: {self._address}"
        rig = f"the rig file, [{self.name}] resource"
        code = getattr(error, "errno", None)
        if "No backend available" in text:
            return f"{place} needs libusb, which is missing; install it (Debian: apt install libusb-1.0-0)."
        if "No device found" in text:
            return f"{place} is not there; plug it in and switch it on, or correct {rig}."
        if code == errno.EACCES or "Access denied" in text or "insufficient permissions" in text:
            return f"{place} may not be opened by this user; install udev/60-boresight.rules and plug it in again."
        if code == errno.EBUSY:
            return f"{place} is busy; close the other program that uses it."
        if code == errno.ECONNREFUSED:
            return f"{place} refuses the connection; switch the instrument on, or correct {rig}."
        return f"{place} cannot be opened ({text.splitlines()[0] if text else type(error).__name__}); check {rig}."

    def _session(self) -> Any:
        return self._open.visalib.sessions.get(self._open.session)

    def _ready(self) -> None:
        if not self._in_step:
            self._resynchronise()
        if self._open is None or not self._in_step:
            raise WireError(f"{self.name}: {self._address} does not come back in step; switch it off and on again.")

    @contextmanager
    def _hal_errors(self, limit_s: float) -> Iterator[None]:
        try:
            yield
        except HalError:
            raise
        except Exception as error:  # VisaIOError, USBError, ValueError, OSError and bare Exceptions all leak
            late = _timed_out(error)
            self._resynchronise()
            if isinstance(error, (struct.error, UserWarning)):  # pyvisa-py found no USBTMC header
                raise ProtocolError(
                    f"{self.name}: {self._address} sent a damaged USBTMC transfer ({error}); check its cable."
                ) from error
            if late and self._in_step:
                raise WireTimeout(
                    f"{self.name}: {self._address} did not answer within {limit_s:g} s; check its power and cable."
                ) from error
            raise WireError(
                f"{self.name}: {self._address} is lost ({error or type(error).__name__}); check its power and cable, "
                "then start it again."
            ) from error

    def _resynchronise(self) -> None:
        """Bring instrument and host to a state in which nothing old can be read; sets `_in_step`."""
        self._in_step = False
        try:
            if self._socket:
                self.close()
                self._connect(self.timeout_s)
            else:
                if self._open is None:
                    self._connect(self.timeout_s)
                self._clear()
        except Exception:  # still gone: tried again before the next use
            self.close()
        else:
            self._in_step = True

    def _clear(self) -> None:
        if self._usb:
            self._clear_usb()
        elif self._serial:
            self._find_marker()
        else:
            self._open.clear()

    def _find_marker(self) -> None:
        """A serial line has no clear: ask what nobody asks otherwise, and drop all that comes before its answer.

        Raises OSError when it does not come: the instrument is silent, or still busy with what it was asked before.
        """
        self._open.timeout = round(self.timeout_s * 1000)
        for attempt in range(1, MARKERS + 1):
            self._marker = self._marker % MARKER_KINDS + 1  # none like those before, whose answers may still come
            self._open.write_raw(b"*IDN?" + b";*OPC?" * self._marker + b"\n")
            deadline = Deadline(self._clock, attempt * self.timeout_s)
            while not deadline.expired:
                with suppress(pyvisa_errors()):
                    parts = bytes(self._open.read_raw()).rstrip(b"\r\n").split(b";")
                    if len(parts) == self._marker + 1 and parts[1:] == [b"1"] * self._marker:
                        return
        raise OSError(errno.EIO, "no answer to a marker")

    def _clear_usb(self) -> None:
        """USBTMC 1.00, 4.2.1.6 and 4.2.1.7. Raises OSError when the instrument does not finish."""
        tmc = self._session().interface
        device, interface = tmc.usb_dev, tmc.usb_intf.index

        def ask(request: int, length: int) -> Any:
            return device.ctrl_transfer(_CLASS_INTERFACE_IN, request, 0, interface, length, timeout=1000)

        status = ask(_INITIATE_CLEAR, 1)[0]
        for _ in range(_CLEAR_POLLS):
            if status != _SUCCESS and status != _PENDING:
                break
            status, flags = ask(_CHECK_CLEAR_STATUS, 2)[:2]
            if status == _SUCCESS:
                tmc.usb_send_ep.clear_halt()
                return
            if flags & 1:  # it still holds a transfer for us
                tmc.usb_recv_ep.read(tmc.usb_recv_ep.wMaxPacketSize, 100)
            self._clock.sleep_until(self._clock.now_ns() + round(_CLEAR_POLL_S * NS))
        raise OSError(errno.EIO, f"device clear ended with status {status:#x}")


def _timed_out(error: BaseException | None) -> bool:
    """True when a time-out is the cause, under whichever exception the libraries bring it."""
    while error is not None:
        if getattr(error, "errno", None) == errno.ETIMEDOUT or "VI_ERROR_TMO" in str(error):
            return True
        if isinstance(error, ValueError) and f"[Errno {errno.ETIMEDOUT}]" in str(error):
            return True  # pyvisa-py's write turns USBError into its text
        error = error.__context__
    return False
