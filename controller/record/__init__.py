"""Recordings: MCAP files that any log viewer opens, readable up to the last flush after a kill (docs/recording.md)."""

from controller.record.mend import Mender
from controller.record.read import (
    Recorded,
    RecordingError,
    read,
    read_attachments,
    read_messages,
    read_metadata,
    read_schemas,
)
from controller.record.recover import finished, recover, recover_folder
from controller.record.rotate import RotatingRecorder, Rotation, parts_of, read_run, rename_run
from controller.record.write import FLUSH_NS, Recorder, json_schema

__all__ = [
    "FLUSH_NS",
    "Mender",
    "Recorded",
    "Recorder",
    "RecordingError",
    "RotatingRecorder",
    "Rotation",
    "finished",
    "json_schema",
    "parts_of",
    "read",
    "read_attachments",
    "read_messages",
    "read_metadata",
    "read_run",
    "read_schemas",
    "recover",
    "recover_folder",
    "rename_run",
]
