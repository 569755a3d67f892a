"""One row a registered thing: what makes it small enough to be tried many times.

Whoever registers an attack, a denoiser, a detector or a source adds its row; the suite does the
rest.
"""

from typing import Any

ATTACKS: dict[str, dict[str, Any]] = {
    "differential-evolution": {"population": 20, "generations": 8},
    "exhaustive": {"space": "corners"},
    "corner": {"queries": 150},
    "sparse-rs": {"queries": 150},
    "sigma-zero": {"queries": 100},
    "spgd": {"queries": 150},
    "brusle": {"queries": 150},
    "cma-es": {"queries": 400},
    "jsma": {"starts": 8},
    "sparse-aa": {"queries": 150},
    "random": {"queries": 900},
    "attention": {"queries": 900, "attended": 60},
    "fgsm": {"eps": 33.0},
    "pgd": {"eps": 33.0, "steps": 10},
    "apgd": {"eps": 33.0, "steps": 12},
    "square": {"eps": 70.0, "queries": 25},
    "lbfgs": {"norm": "l2", "eps": 0.6, "steps": 4},
    "fab": {"eps": 30.0, "steps": 12},
    "auto-attack": {"eps": 33.0, "steps": 4, "square_queries": 8},
}
"""Options of the attack."""

DENOISERS: dict[str, dict[str, Any]] = {
    "identity": {},
    "median": {},
    "adaptive-median": {"largest": 5},
    "rpca": {"weight": 2.0},
    "repair": {"gap": 1.0},
    "repair-blind": {"width": 4, "gap": 1.0},
    "autoencoder": {},
    "dae": {"widths": [4, 8]},
    "noise2noise": {"blocks": 1, "width": 4},
    "noise2void": {"width": 4},
    "r2unet": {"widths": [4, 8]},
    "median-cnn": {"blocks": 2, "width": 4, "size": 3},
    "scunet": {"blocks": [0, 0, 0, 1, 0, 0, 0]},
}
"""Arguments of the builder beyond the channels."""

DETECTORS: dict[str, dict[str, Any]] = {
    "one-class-svm": {"nu": 0.1},
    "repair": {"scorer": "repair-blind"},
    "vae": {"false_alarms": 0.2},
    "trigger": {"false_alarms": 0.2},
}
"""Options of the detector."""

CERTIFICATES: dict[str, dict[str, Any]] = {
    "polyphase-vote": {"stride": 2},
    "run-off": {"stride": 2},
    "masked-consensus": {"stride": 2},
    "randomised-ablation": {"keep": 20, "samples": 40},
}
"""Settings of the training, or options of what goes around a classifier."""

SOURCES: dict[str, str] = {
    "medmnist": "pneumoniamnist",
    "originals": "derma",
    "npz": "ours",
    "folder": "cells",
    "phantom": "oct",
}
"""The dataset that is opened."""
