"""The page: every table, every figure and a gallery of attempts, to be opened from disk."""
