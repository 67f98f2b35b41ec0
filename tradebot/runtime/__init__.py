"""Keeps it alive: wiring, dispatch, shells, coordinator."""
