"""Attacks, one a file; they know nothing of the database."""
