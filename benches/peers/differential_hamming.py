"""Problems of Hamming distances: every engine and every way of asking beside a table of all pairs."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from differential_wire import Answer, Case, Kind, Vector, Verdict, numbers

BYTES, DNA, IUPAC = range(3)
MATCH, MISMATCH, EXCLUDED = range(3)
OVERHANG = 103  # a way of asking; below 100 it is the number of the engine
SETS = dict(zip("ACGTURYSWKMBDHVN", (1, 2, 4, 8, 8, 5, 10, 6, 9, 12, 3, 14, 13, 11, 7, 15)))
COMPLEMENT = bytes.maketrans(b"ACGTacgtUu", b"TGCAtgcaAa")


def pairs(alphabet: int, wildcard: int, meaning: int) -> tuple[Any, Any]:
    """Of every two bytes: do they match, and do they count."""
    letters = np.arange(256)
    if alphabet == BYTES:
        match = letters[:, None] == letters
    else:
        known = SETS if alphabet == IUPAC else {letter: SETS[letter] for letter in "ACGTU"}
        sets = np.array([known.get(chr(b).upper(), 0) for b in range(256)])
        match = (sets[:, None] & sets) != 0
    counts = np.ones((256, 256), bool)
    if wildcard >= 0:
        same = [wildcard] if alphabet == BYTES else [ord(chr(wildcard).lower()), ord(chr(wildcard).upper())]
        wild = np.isin(letters, same)
        either = wild[:, None] | wild
        match = np.where(either, meaning == MATCH, match)
        if meaning == EXCLUDED:
            counts = ~either
    return match, counts


def brute(pattern: bytes, text: bytes, match: Any, counts: Any, overhang: bool = False) -> tuple[Any, Any]:
    """Distances and pairs that count; where the pattern overhangs, it meets letter 256, which counts with none."""
    p, t = np.frombuffer(pattern, np.uint8), np.frombuffer(text, np.uint8).astype(np.int16)
    if overhang:
        t = np.pad(t, len(pattern) - 1, constant_values=256)
        match, counts = (np.pad(v, ((0, 0), (0, 1))) for v in (match, counts))
    windows = sliding_window_view(t, len(pattern))
    counted = counts[p, windows]
    return (counted & ~match[p, windows]).sum(axis=1), counted.sum(axis=1)


def letters_of(rng: np.random.Generator, letters: bytes, count: int) -> bytes:
    return bytes(rng.choice(np.frombuffer(letters, np.uint8), count))


def problem(
    rng: np.random.Generator, letters: bytes, alphabet: int = BYTES, longest: int = 60, text: int = 400,
    wildcard: int = -1, meaning: int = MATCH, periodic: bool = False, search: bool = False,
) -> Case:  # fmt: skip
    m = int(np.exp(rng.uniform(0.0, np.log(longest))))
    n = m + int(np.exp(rng.uniform(0.0, np.log(text)))) - 1
    letters = letters_of(rng, letters, int(rng.integers(1, len(letters) + 1))) if alphabet == BYTES else letters
    if wildcard >= 0:
        letters += bytes([wildcard])
    p, t = letters_of(rng, letters, m), letters_of(rng, letters, n)
    if periodic:
        unit = letters_of(rng, letters, int(rng.integers(1, 4)))
        p, t = (unit * m)[:m], bytearray((unit * n)[:n])
        for _ in range(int(rng.integers(0, 6))):
            t[rng.integers(n)] = letters[rng.integers(len(letters))]
        t = bytes(t)
    if wildcard < 0 and alphabet == DNA and rng.integers(3) == 0:
        t = bytes(b if rng.random() < 0.95 else ord("n") for b in t)
    k = int(rng.integers(0, m + 1) if rng.integers(2) else min(m, rng.integers(0, 4)))
    engine = int(rng.integers(9)) if search else 0
    head = numbers(alphabet, wildcard, meaning, k, search, engine)
    known = {"pattern": p, "text": t, "pairs": pairs(alphabet, wildcard, meaning), "k": k, "strands": alphabet == DNA}
    known["excluded"] = wildcard >= 0 and meaning == EXCLUDED
    return Case([[head, as_vector(p), as_vector(t)]], known)


def as_vector(text: bytes) -> Vector:
    return np.frombuffer(text, np.uint8).astype(np.float64)


def judge_distances(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    """The worst is the largest number of mismatches by which any engine is off."""
    distances, valid = brute(case.known["pattern"], case.known["text"], *case.known["pairs"])
    overhanging, _ = brute(case.known["pattern"], case.known["text"], *case.known["pairs"], overhang=True)
    parts = answers[0].parts
    for number, found, pairs_of in zip(parts[::3], parts[1::3], parts[2::3]):
        name = f"way {int(number[0])}"
        if number[0] == OVERHANG:
            same = found.shape == overhanging.shape
            verdict.measure(float(np.abs(found - overhanging).max()) if same else np.inf, 0.0, name)
            continue
        if found.shape != distances.shape:
            verdict.off.append(f"{name}: {found.size} distances for {distances.size}")
            continue
        verdict.measure(float(np.abs(found - distances).max()), 0.0, name)
        if case.known["excluded"] and not np.array_equal(pairs_of, valid):
            verdict.off.append(f"{name}: valid pairs")


def judge_search(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    known, hits = case.known, []
    strands = [known["pattern"]]
    if known["strands"]:
        strands.append(known["pattern"].translate(COMPLEMENT)[::-1])
    for reverse, pattern in enumerate(strands):
        distances, _ = brute(pattern, known["text"], *known["pairs"])
        hits += [(int(i), reverse, int(distances[i])) for i in np.flatnonzero(distances <= known["k"])]
    found = [tuple(map(int, part)) for part in answers[0].parts]
    verdict.measure(float(len(set(found) ^ set(hits))), 0.0, "other hits")
    if found != sorted(hits) and set(found) == set(hits):
        verdict.off.append("order of the hits")


def kinds() -> list[Kind]:
    def kind(name: str, count: int, letters: bytes, judge: Any = judge_distances, **more: Any) -> Kind:
        return Kind(name, "all pairs", 0.0, count, partial(problem, letters=letters, **more), judge)

    few, every, dna = b"abcd", bytes(range(256)), b"ACGTacgt"
    iupac = "".join(letter for letter in SETS if letter != "N")  # what N in a text matches is an option's business
    both = (iupac + iupac.lower()).encode()
    search: dict[str, Any] = {"judge": judge_search, "search": True}
    return [
        kind("few letters", 900, few),
        kind("all bytes", 600, every),
        kind("long patterns", 150, few + b"efgh", longest=600, text=2500),
        kind("periodic", 500, few, periodic=True),
        kind("DNA", 600, dna + b"Uu", alphabet=DNA),
        kind("IUPAC codes", 600, both, alphabet=IUPAC),
        kind("wildcards that match", 500, few, wildcard=ord("*")),
        kind("wildcards that do not", 500, few, wildcard=ord("*"), meaning=MISMATCH),
        kind("wildcards left out", 500, few, wildcard=ord("*"), meaning=EXCLUDED),
        kind("DNA, wildcards left out", 300, dna, alphabet=DNA, wildcard=ord("N"), meaning=EXCLUDED),
        kind("search, few letters", 500, few, **search),
        kind("search, periodic", 400, few, periodic=True, **search),
        kind("search, both strands of DNA", 500, b"ACGT", alphabet=DNA, **search),
    ]
