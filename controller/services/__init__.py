"""What a service is, and the two executors that drive it."""
