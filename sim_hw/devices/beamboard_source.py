"""Which firmware sources a library was built from.

setup.py runs this file by its path, so it imports nothing of ours.
"""

from __future__ import annotations

import hashlib
from pathlib import Path


def source_hash(firmware: Path) -> str:
    """16 hex digits over names and contents of the C files under `firmware` (its core and its host board)."""
    digest = hashlib.sha256()
    for folder in ("core", "boards/host"):
        for path in sorted((firmware / folder).glob("*.[ch]")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
