"""Decides: one synchronous machine, process(event, now) -> (facts, commands)."""
