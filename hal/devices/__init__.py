"""Drivers, one module a protocol."""
