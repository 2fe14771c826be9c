"""Hardware abstraction: what a device is and how bytes reach it. Imports nothing of the project."""
