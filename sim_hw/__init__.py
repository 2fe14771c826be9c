"""Emulated bench: devices that speak the real protocols on real wires, with physics behind."""
