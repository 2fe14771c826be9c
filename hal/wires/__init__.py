"""How bytes travel: one file a wire."""
