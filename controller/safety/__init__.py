"""Votes on emission; the only room that may enable it."""
