"""The door: the local control API."""
