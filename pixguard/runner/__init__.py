"""Plans what is left to do and carries it out."""
