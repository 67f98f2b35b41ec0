"""Runs it many times: replay and report."""
