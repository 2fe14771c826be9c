"""What can go wrong with a device, as one small tree.

    HalError
    ├── RigError             the rig file is wrong (file, key, what is allowed, nearest valid name)
    ├── ResourceError        cannot open: no such port, busy, no permission      (also OSError)
    ├── WireError            the wire failed while in use: hang-up, unplug       (also ConnectionError)
    │   └── WireTimeout      nothing, or too little, came in time                (also TimeoutError)
    ├── ProtocolError        bytes came that the protocol does not allow         (also ValueError)
    └── DeviceError          the device answered and refused                     (.code, .detail)

Every message is one sentence that names the device and says what to do.
"""

from __future__ import annotations


class HalError(Exception):
    """Anything that hal reports; the message is written for the operator."""


class RigError(HalError):
    """A rig file is wrong.

    `problems` has every error of the file, a sentence each; the message is all of them.
    """

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems or (message,)


class ResourceError(HalError, OSError):
    """A resource cannot be opened: it does not exist, is busy, or may not be used."""


class WireError(HalError, ConnectionError):
    """The wire to a device failed while in use."""


class WireTimeout(WireError, TimeoutError):  # noqa: N818 (what everybody calls it)
    """A device did not answer in time; the wire has been re-synchronised."""


class ProtocolError(HalError, ValueError):
    """A device sent bytes that its protocol does not allow."""


class DeviceError(HalError):
    """A device answered and refused.

    `code` is the device's own error number where it has one.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code
