"""Takes frames with Aravis and writes what it saw as JSON; run by the system's Python."""

from __future__ import annotations

import json
import struct
import sys

import gi

gi.require_version("Aravis", "0.8")
from gi.repository import Aravis  # noqa: E402

camera = Aravis.Camera.new(None)
camera.set_region(96, 64, 64, 48)
camera.set_exposure_time(4000.0)
camera.clear_triggers()
camera.set_frame_rate(50.0)
stream = camera.create_stream(None, None)
for _ in range(4):
    stream.push_buffer(Aravis.Buffer.new_allocate(camera.get_payload()))
camera.start_acquisition()
frames = []
for _ in range(int(sys.argv[1])):
    buffer = stream.timeout_pop_buffer(5_000_000)
    pixels = struct.unpack(f"<{64 * 48}H", buffer.get_data())
    brightest = pixels.index(max(pixels))
    frames.append(
        {
            "status": buffer.get_status().value_nick,
            "number": buffer.get_frame_id(),
            "timestamp_ns": buffer.get_timestamp(),
            "region": [
                buffer.get_image_x(),
                buffer.get_image_y(),
                buffer.get_image_width(),
                buffer.get_image_height(),
            ],
            "brightest": [brightest % 64 + 96, brightest // 64 + 64],
        }
    )
    stream.push_buffer(buffer)
camera.stop_acquisition()
json.dump(
    {
        "vendor": camera.get_vendor_name(),
        "model": camera.get_model_name(),
        "serial": camera.get_device_serial_number(),
        "sensor": list(camera.get_sensor_size()),
        "exposure_us": camera.get_exposure_time(),
        "frame_rate_hz": camera.get_frame_rate(),
        "frames": frames,
    },
    sys.stdout,
)
