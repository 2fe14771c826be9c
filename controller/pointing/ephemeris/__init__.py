"""Where a target is at a time: one interface, and a reader for each format in which people say so."""
