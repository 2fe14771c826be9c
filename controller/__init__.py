"""What a station does: points, acquires, tracks, and is safe by absence."""
