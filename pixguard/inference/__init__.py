"""How candidates are evaluated."""
