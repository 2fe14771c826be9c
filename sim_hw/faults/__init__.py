"""Faults as a feature of the emulators: one table of words (`table`), one way for each kind of wire (`wires`), and the
panel of a bench (`panel`) that starts and clears them by time, by command count or by hand."""
