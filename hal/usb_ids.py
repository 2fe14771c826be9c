"""USB identities of the devices that our drivers drive, and what udev should call them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class UsbIdentity:
    """One kind of device; either `vendor` and `product` or the interface class identify it."""

    driver: str  # row of hal.drivers
    what: str
    node: Literal["tty", "usb"]  # what the driver opens: the kernel's serial port, or the device itself through libusb
    vendor: int = 0
    product: int = 0
    interface: str = ""  # class, subclass and protocol in hexadecimal, when any maker's device will do
    link: str = ""  # name below /dev/boresight: of the serial port, or of the kernel's node of an instrument


# Vendor 1313 is Thorlabs; product numbers as in the instruments' manuals. 1209 is pid.codes, whose products 0001 to
# 000F are for tests and private use.
USB_IDENTITIES = (
    UsbIdentity(
        "nexstar", "Prolific PL2303, in hand controllers with a USB port", "tty", 0x067B, 0x2303, link="gimbal"
    ),
    UsbIdentity("nexstar", "FTDI FT232R, a usual RS-232 adapter for the others", "tty", 0x0403, 0x6001, link="gimbal"),
    UsbIdentity("easycomm", "SparkFun Pro Micro, in SatNOGS rotators", "tty", 0x1B4F, 0x9206, link="gimbal"),
    UsbIdentity("beamboard", "Boresight beam board", "tty", 0x1209, 0x0003, link="beamboard"),
    UsbIdentity("apt", "Thorlabs motor controllers (FTDI)", "tty", 0x0403, 0xFAF0, link="stage"),
    UsbIdentity("u3v", "USB3 Vision camera of any maker", "usb", interface="ef0500"),
    UsbIdentity("pm100d", "Thorlabs PM100D", "usb", 0x1313, 0x8078, link="power_meter"),
    UsbIdentity("pm100d", "Thorlabs PM100USB", "usb", 0x1313, 0x8072, link="power_meter"),
    UsbIdentity("pm100d", "Thorlabs PM101", "usb", 0x1313, 0x8076, link="power_meter"),
    UsbIdentity("itc4000", "Thorlabs ITC4000 series", "usb", 0x1313, 0x804A, link="laser"),
    UsbIdentity("itc4000", "Thorlabs CLD1010, CLD1011, CLD1015", "usb", 0x1313, 0x804F, link="laser"),
)
