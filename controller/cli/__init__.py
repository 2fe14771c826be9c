"""The boresight command, one file a verb."""
