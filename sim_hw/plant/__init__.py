"""Gimbal, mirror and quad dynamics in compiled blocks."""
