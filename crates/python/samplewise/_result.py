"""What all answers have in common: a repr that shows the evidence, and equality by identity."""

from __future__ import annotations

from typing import Any

import numpy as np


def shown(value: Any) -> str:
    """A value in few characters."""
    if isinstance(value, np.ndarray):
        return f"array{value.shape}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)) and len(value) > 6:
        return f"{len(value)} values"
    return repr(value)


def describe(name: str, *lines: dict[str, Any]) -> str:
    """Three lines at most: what it is, its status, its evidence."""
    parts = [", ".join(f"{key}={shown(value)}" for key, value in line.items() if value is not None) for line in lines]
    return f"{name}(" + ",\n  ".join(part for part in parts if part) + ")"
