"""The soak: a station that flies a pass every so often while things go wrong, watched every second of it."""
