"""Camera and quad cell to corrections: coarse loop, fine loop, offload."""
