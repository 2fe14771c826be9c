"""Votes; the only room that may enable emission."""
