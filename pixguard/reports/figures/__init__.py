"""Figures: each module declares a kind, its numbers or names, what it shows, how it is drawn."""
