"""Detectors, one a file: networks that map images (N, C, H, W) in [0, 1] to scores float64 (N,)."""
