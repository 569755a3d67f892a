"""What every training shares: the loop, its checkpoints, and reading ahead."""
