"""Defences that prove their answers, one method per file."""
