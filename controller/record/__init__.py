"""Recordings: MCAP files that any log viewer opens, readable up to the last flush after a kill (docs/recording.md)."""

from controller.record.damage import Damage, OnDamage, RecordingError, ignore, sentences
from controller.record.index import finished
from controller.record.mend import Mender
from controller.record.read import (
    Recorded,
    read,
    read_attachments,
    read_messages,
    read_metadata,
)
from controller.record.recover import recover, recover_folder
from controller.record.rotate import RotatingRecorder, Rotation, parts_of, read_run, rename_run
from controller.record.versions import fields_expected
from controller.record.write import FLUSH_NS, Recorder, json_schema

__all__ = [
    "FLUSH_NS",
    "Damage",
    "Mender",
    "OnDamage",
    "Recorded",
    "Recorder",
    "RecordingError",
    "RotatingRecorder",
    "Rotation",
    "fields_expected",
    "finished",
    "ignore",
    "json_schema",
    "parts_of",
    "read",
    "read_attachments",
    "read_messages",
    "read_metadata",
    "read_run",
    "recover",
    "recover_folder",
    "rename_run",
    "sentences",
]
