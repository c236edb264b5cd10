"""`samplewise hamming` beside C loops."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import statistics
import tempfile
from array import array
from pathlib import Path

from common import (
    HERE, OURS, ROOT, THREADS, Disagreement, Row, Session, call, compute_seconds, generated, ours, read_u32_npy, say,
    u32_array,
)

SASSY = "0.3.0"
SASSY_FLAGS = 'build.rustflags=["-C", "target-cpu=native"]'
CC_FLAGS = ("-O3", "-march=native", "-std=c11")
PATTERN_LENGTHS = (32, 100, 1_000, 10_000)
GUIDES = {"dna": ((100, 4),), "E. coli": tuple((many, k) for many in (100, 312) for k in (3, 4, 5))}
GUIDES["Dictyostelium"] = tuple((100, k) for k in (3, 4, 5))
SASSY_CALLS = (
    "sassy: pattern by pattern is search with the profile Dna and the reversed text cached, batch is"
    " search_encoded_patterns with Iupac, patterns in lanes is search_patterns with Iupac; best marks the fastest of a case,"
    " and times_as_fast of our row is beside that one"
)


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


def full_data(name: str) -> Path | None:
    """A file of `scripts/fetch_data.py`, if it was fetched."""
    path = Path(os.environ.get("SAMPLEWISE_DATA") or ROOT / "target" / "data") / name
    return path if path.is_file() else None


def dna_texts(session: Session) -> list[tuple[str, Path]]:
    letters = 400_000 if session.quick else 4_000_000
    texts = [(f"dna {letters:,}", generated(f"dna-{letters}.raw", lambda: dna(letters)))]
    ecoli = full_data("ecoli/ecoli_MG1655.fa")
    if ecoli is not None:
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
    search = sassy_program(session)
    session.notes.append(SASSY_CALLS)
    for text_name, text_path in dna_texts(session):
        compare_sassy(session, search, text_name, text_path, ["short"])
        compare_guides(session, search, text_name, text_path)
    amoeba = full_data("dictyostelium/dictyostelium.fa")
    if amoeba is None:
        session.notes.append("Dictyostelium left out: scripts/fetch_data.py fetch dictyostelium was not run")
    elif not session.quick:
        lines = amoeba.read_bytes().splitlines()
        letters = b"".join(line for line in lines if not line.startswith(b">")).upper().replace(b"N", b"")
        path = generated(f"dictyostelium-{len(letters)}.raw", lambda: letters)
        compare_guides(session, search, f"Dictyostelium {len(letters):,}", path)
    compare_recall(session, search)


def sassy_program(session: Session) -> Path:
    """sassy compiles for this machine only, so it has a project of its own, with ours beside it."""
    project = session.folder / "sassy"
    (project / "src").mkdir(parents=True, exist_ok=True)
    manifest = (
        '[package]\nname = "hamming-sassy"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n'
        f'[[bin]]\nname = "hamming-sassy"\npath = "{HERE / "hamming_sassy.rs"}"\n[dependencies]\n'
        f'samplewise-hamming = {{ path = "{ROOT / "crates" / "hamming"}" }}\n'
        f'sassy = {{ version = "={SASSY}", default-features = false }}\n[profile.release]\ndebug = false\n'
        'lto = true\ncodegen-units = 1\n'  # as the profile `dist` of sassy, with which its binaries are made
    )
    (project / "Cargo.toml").write_text(manifest, encoding="utf-8")
    session.versions["sassy"] = f"{SASSY}, -C target-cpu=native, lto, one codegen unit for both"
    say(f"building sassy {SASSY}")
    command = ["cargo", "build", "--release", "--manifest-path", project / "Cargo.toml"]
    call([*command, "--target-dir", session.folder / "sassy-target", "--config", SASSY_FLAGS])
    return session.folder / "sassy-target" / "release" / "hamming-sassy"


def compare_guides(session: Session, program: Path, name: str, text_path: Path) -> None:
    works = next(works for known, works in GUIDES.items() if name.startswith(known))
    for many, k in ((100, 4),) if session.quick else works:
        compare_sassy(session, program, name, text_path, ["guides", str(many), str(k)])


def compare_sassy(session: Session, program: Path, name: str, text_path: Path, work: list[str]) -> None:
    """Ours with the Hamming distance, sassy with the edit distance, which has more hits, by every call that it has; our
    row says how it stands beside the best of them."""
    say(f"hamming: {name}, sassy, {' '.join(work)}")
    for found in json.loads(call([program, str(session.repeats), text_path, *work])):
        case = f"{name}, at most k mismatches, {found['case']}"
        medians = {one["call"]: statistics.median(one["seconds"]) for one in found["ours"] + found["theirs"]}
        best = min((one["call"] for one in found["theirs"]), key=medians.__getitem__)
        for i, one in enumerate(found["ours"]):
            tool = f"{OURS}, {one['call']}" if i else OURS
            extras = {"hits": one["hits"], "call": one["call"], "times_as_fast": medians[best] / medians[one["call"]]}
            session.rows.append(Row(case, tool, 1, one["seconds"], extras))
        for one in sorted(found["theirs"], key=lambda one: medians[one["call"]]):
            extras = {"hits": one["hits"], "call": one["call"], "best": "yes" if one["call"] == best else ""}
            session.rows.append(Row(case, f"sassy (edit distance), {one['call']}", 1, one["seconds"], extras))


def compare_recall(session: Session, program: Path) -> None:
    """Reads with insertions and deletions, for which mismatches alone are the wrong model."""
    say("hamming: reads with insertions and deletions, sassy")
    found = json.loads(call([program, "1", "-", "reads"]))
    case = "barcodes of 24 letters within 3, reads with 4 % substitutions, 1.5 % insertions, 1.5 % deletions"
    for tool, key in ((OURS, "ours"), ("sassy (edit distance)", "theirs")):
        session.rows.append(Row(case, tool, 1, [], {"recognised": f"{found[key]} of {found['reads']}"}))


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
