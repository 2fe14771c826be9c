"""Aircraft near the beam, from the reports that they send themselves."""
