"""pixguard measures how easily a classifier is fooled by one or two pixels, and what undoes it."""

__version__ = "0.1.0"
