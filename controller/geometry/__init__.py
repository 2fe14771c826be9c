"""Frames, light time, refraction, trajectories: pure functions."""
