"""USB3 Vision cameras: GenCP for control, the camera's own GenICam file for its features, bulk streaming."""

from hal.devices.u3v.camera import U3vCamera

__all__ = ["U3vCamera"]
