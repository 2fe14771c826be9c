"""From an uncertainty ellipse to a scan plan."""
