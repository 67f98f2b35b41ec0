"""Watches: a process of its own, a client of control."""
