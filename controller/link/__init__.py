"""The receiver: what arrives through the fibre."""
