"""Attacks, one a file; they know nothing of the database.

Which there are, with their options, stands in :mod:`pixguard.attacks.registry`. From Python each
is a class of its own (:mod:`pixguard.attacks.attack`): ``DifferentialEvolution``, ``Corner``, ...
"""

from typing import Any

from pixguard.attacks.registry import ATTACKS

__all__ = ["ATTACKS", "AttackResult", *(entry.class_name for entry in ATTACKS)]


def __getattr__(name: str) -> Any:
    """Import the Python API when it is asked for: it needs torch, the names do not."""
    if name == "AttackResult":
        from pixguard.attacks.result import AttackResult

        return AttackResult
    for entry in ATTACKS:
        if entry.class_name == name:
            from pixguard.attacks.attack import attack_class

            return attack_class(entry)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
