"""Denoisers, one a file."""
