"""`samplewise hamming` beside C loops."""

from __future__ import annotations

import hashlib
import math
import os
import random
import tempfile
from array import array
from pathlib import Path

from common import (
    HERE, OURS, ROOT, THREADS, Disagreement, Row, Session, call, compute_seconds, generated, ours, read_u32_npy, say,
    u32_array,
)

CC_FLAGS = ("-O3", "-march=native", "-std=c11")
PATTERN_LENGTHS = (32, 100, 1_000, 10_000)


def dna(letters: int) -> bytes:
    four = [bytes(b"ACGT"[byte >> shift & 3] for shift in (0, 2, 4, 6)) for byte in range(256)]
    source = random.Random(f"dna {letters}").randbytes((letters + 3) // 4)
    return b"".join(map(four.__getitem__, source))[:letters]


def first_record(fasta: bytes) -> bytes:
    """The sequence of the first record, in upper case."""
    body = fasta.split(b"\n>", 1)[0].partition(b"\n")[2]
    return b"".join(body.split()).upper()


def pattern_of(text: bytes, m: int) -> bytes:
    """The m letters at one third of the text, one in ten replaced by another letter."""
    rng = random.Random(f"pattern {m}")
    start = len(text) // 3
    pattern = bytearray(text[start : start + m])
    for position in rng.sample(range(m), round(0.1 * m)):
        pattern[position] = rng.choice([c for c in b"ACGT" if c != pattern[position]])
    return bytes(pattern)


def dna_texts(session: Session) -> list[tuple[str, Path]]:
    letters = 400_000 if session.quick else 4_000_000
    texts = [(f"dna {letters:,}", generated(f"dna-{letters}.raw", lambda: dna(letters)))]
    folder = Path(os.environ.get("SAMPLEWISE_DATA") or ROOT / "target" / "data")
    ecoli = folder / "ecoli" / "ecoli_MG1655.fa"
    if ecoli.is_file():
        genome = first_record(ecoli.read_bytes())
        genome = genome[:letters] if session.quick else genome
        digest = hashlib.sha256(genome).hexdigest()[:12]
        path = generated(f"ecoli-{len(genome)}-{digest}.raw", lambda: genome)
        texts.append((f"E. coli {len(genome):,}", path))
    else:
        session.notes.append("E. coli left out: scripts/fetch_data.py fetch ecoli was not run")
    return texts


def check_distances(case: str, tool: str, found: array[int], expected: array[int]) -> None:
    if found == expected:
        return
    if len(found) != len(expected):
        raise Disagreement(f"{case}: {tool} gives {len(found)} distances, {len(expected)} expected")
    at = next(i for i, (a, b) in enumerate(zip(found, expected)) if a != b)
    many = sum(a != b for a, b in zip(found, expected))
    raise Disagreement(
        f"{case}: {tool} says distance {found[at]} at alignment {at}, hamming_loop loop says "
        f"{expected[at]}; {many} of {len(expected)} differ"
    )


def run_hamming(session: Session) -> None:
    session.folder.mkdir(parents=True, exist_ok=True)
    program = session.folder / "hamming_loop"
    call(["cc", *CC_FLAGS, HERE / "hamming_loop.c", "-o", program])
    session.versions["cc flags"] = " ".join(CC_FLAGS)
    for text_name, text_path in dna_texts(session):
        text = text_path.read_bytes()
        for m in PATTERN_LENGTHS:
            pattern = pattern_of(text, m)
            name = f"pattern-{text_path.stem}-{m}.raw"
            compare_hamming(session, program, f"{text_name}, m={m}", text_path, name, text, pattern)


def compare_hamming(
    session: Session,
    program: Path,
    case: str,
    text_path: Path,
    pattern_name: str,
    text: bytes,
    pattern: bytes,
) -> None:
    say(f"hamming: {case}")
    pattern_path = generated(pattern_name, lambda: pattern)
    m = len(pattern)

    def definition(i: int) -> int:
        return sum(a != b for a, b in zip(text[i : i + m], pattern))

    with tempfile.TemporaryDirectory(dir=session.folder) as folder:
        out = Path(folder) / "distances"
        call([program, "loop", text_path, pattern_path, out])
        expected = u32_array(out.read_bytes())
        # The loop is the referee of all others, so it is held against the definition first.
        for i in (0, len(text) // 3, len(text) - m):
            if len(expected) != len(text) - m + 1 or expected[i] != definition(i):
                raise Disagreement(
                    f"{case}: hamming_loop loop breaks the definition at alignment {i}"
                )
        call([program, "vertical", text_path, pattern_path, out])
        check_distances(case, "hamming_loop vertical", u32_array(out.read_bytes()), expected)
        npy = Path(folder) / "distances.npy"
        path = ""
        for threads in THREADS:
            answer = ours(["hamming", text_path, pattern_path, "--out", npy], threads)
            path = str(answer["report"]["path"])
            check_distances(case, f"{OURS} --threads {threads}", read_u32_npy(npy), expected)
    mine = [Row(case, OURS, threads, [], {"path": path}) for threads in THREADS]
    loops = [Row(case, f"C {kind}", 1, [], {"path": kind}) for kind in ("loop", "vertical")]
    for _ in range(session.repeats):  # in turn, so that a busy moment hits all alike
        for row in mine:
            answer = ours(["hamming", text_path, pattern_path], row.threads)
            row.seconds.append(compute_seconds(answer))
        for row in loops:
            kind = row.extras["path"]
            row.seconds.append(float(call([program, kind, text_path, pattern_path, "-"])))
    for row in mine + loops:
        row.extras["gcmp_per_s"] = len(expected) * m / 1e9 / (row.median() or math.inf)
    session.rows += mine + loops
