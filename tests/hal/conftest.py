"""What tests of hal share."""

from __future__ import annotations

from mount_on_pty import mount as mount
