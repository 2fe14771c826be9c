"""Target, stars, atmosphere and optics, computed by other code than the controller's."""
