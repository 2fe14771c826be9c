"""What our drivers of gimbals cost and can do: `python -m benchmarks.devices`."""
