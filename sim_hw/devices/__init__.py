"""Emulators, one a protocol."""
