"""How the emulated bench is reached."""
