"""Envelope, topics, sockets and clients of the control bus."""
