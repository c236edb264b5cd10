#!/usr/bin/env python3
"""Build the small real-data fixtures in `examples/data` from fetched data.

The examples and tests must run offline, so a few small cuts of real data are part of the
repository. This script is their only source: it reads what `fetch_data.py` wrote and gives the
same bytes every time, so `--check` can prove that the fixtures in the tree are what they say.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import os
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import ne
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "examples" / "data"
SIZE_LIMIT = 200_000
CROP_SIDE = 200
CROP_SOFT_LIMIT = 180_000
FLIGHT_ROWS = 5_000
FLIGHT_MIN_PER_CARRIER = 6
FLIGHT_COLUMNS = (
    "arr_delay",
    "dep_delay",
    "distance",
    "air_time",
    "hour",
    "month",
    "carrier",
    "origin",
)
COMPLEMENT = str.maketrans("ACGT", "TGCA")
SEED = 16
MISMATCH_COST = 3
DROP = 60
PATTERN_LENGTHS = range(300, 1_501)


class FixtureError(Exception):
    """A problem the user can act on; shown as one line."""


def gzip_stable(data: bytes) -> bytes:
    """Compress without time stamp, file name or system code, so equal input gives equal bytes.

    The frame is written by hand because the `gzip` module has changed its system byte between
    Python versions.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9)
    body = packer.compress(data) + packer.flush()
    header = b"\x1f\x8b\x08\x00" + struct.pack("<I", 0) + b"\x02\xff"
    return header + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Plain comma-separated text with `\\n` line ends on every platform."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode("ascii")


def fixed(value: float, decimals: int) -> str:
    """Round to `decimals`, without trailing zeros and without a negative zero."""
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV file with a header, as dictionaries."""
    with path.open(newline="", encoding="utf-8") as handle:
        yield from csv.DictReader(handle)


def read_fasta(path: Path) -> str:
    """The one sequence of a FASTA file, in upper case."""
    lines = path.read_text(encoding="ascii").splitlines()
    if sum(line.startswith(">") for line in lines) != 1:
        raise FixtureError(f"{path}: expected exactly one FASTA record")
    return "".join(line for line in lines if not line.startswith(">")).upper()


def fasta_record(header: str, sequence: str, width: int = 70) -> str:
    """One FASTA record with wrapped lines."""
    lines = [sequence[i : i + width] for i in range(0, len(sequence), width)]
    return "\n".join([f">{header}", *lines]) + "\n"


def stride(items: Sequence[str], count: int) -> list[str]:
    """`count` evenly spaced items, first and last included."""
    last = len(items) - 1
    return [items[(2 * i * last + count - 1) // (2 * (count - 1))] for i in range(count)]


def consensus(sequences: Sequence[str]) -> str:
    """The most frequent letter of every column: with double mutants, the wild type."""
    return "".join(Counter(column).most_common(1)[0][0] for column in zip(*sequences))


def mutation_position(name: str) -> int:
    """Position in an id such as `Q2A`."""
    return int(name[1:-1])


def gb1_pairs(data: Path) -> dict[tuple[str, str], float]:
    """Log2 enrichment by (odd-position mutation, even-position mutation).

    Pairs whose positions have the same parity are left out. The measured region starts at
    position 2 of the 56-residue protein (position 1 is the start methionine).
    """
    records = [(row["x"], float(row["y"])) for row in read_rows(data / "gb1" / "gb1_data.csv")]
    wild = consensus([sequence for sequence, _ in records])
    pairs: dict[tuple[str, str], float] = {}
    for sequence, value in records:
        changed = [i for i, (a, b) in enumerate(zip(wild, sequence)) if a != b]
        if len(changed) != 2:
            raise FixtureError(f"GB1: {sequence} is not a double mutant")
        names = [f"{wild[i]}{i + 2}{sequence[i]}" for i in changed]
        odd, even = sorted(names, key=lambda name: mutation_position(name) % 2 == 0)
        if mutation_position(odd) % 2 == 1 and mutation_position(even) % 2 == 0:
            if pairs.setdefault((odd, even), value) != value:
                raise FixtureError(f"GB1: {odd} {even} occurs twice")
    return pairs


def gb1_crop(data: Path) -> bytes:
    """A 200 x 200 crop of the double-mutant matrix in which no cell repeats another.

    Rows are mutations at odd and columns at even positions, so the two always sit at different
    positions and the mirrored half of the symmetric matrix never appears.
    """
    pairs = gb1_pairs(data)

    def key(name: str) -> tuple[int, str]:
        return mutation_position(name), name

    rows = stride(sorted({row for row, _ in pairs}, key=key), CROP_SIDE)
    columns = stride(sorted({column for _, column in pairs}, key=key), CROP_SIDE)
    for decimals in (3, 2):
        cells = [
            (row, column, fixed(pairs[row, column], decimals))
            for row in rows
            for column in columns
            if (row, column) in pairs
        ]
        packed = gzip_stable(csv_bytes(("row", "column", "value"), cells))
        if len(packed) <= CROP_SOFT_LIMIT:
            break
    return packed


def mpsa(data: Path) -> bytes:
    """Every measured splice-site variant with its value."""
    source = read_rows(data / "mpsa" / "mpsa_data.csv")
    rows = sorted((row["x"], fixed(float(row["y"]), 4)) for row in source)
    return gzip_stable(csv_bytes(("x", "y"), rows))


def integral(text: str) -> str:
    """`11.0` as `11`; other text stays as it is."""
    return text[:-2] if text.endswith(".0") else text


def flights(data: Path) -> bytes:
    """5,000 complete flights, chosen by hash of the row number.

    A hash order is a random sample that needs no generator; the first few of each carrier are
    taken up front so that no carrier disappears from the one-hot columns.
    """
    complete: list[tuple[str, int, tuple[str, ...]]] = []
    for number, row in enumerate(read_rows(data / "flights" / "flights.csv")):
        values = tuple(integral(row[name]) for name in FLIGHT_COLUMNS)
        if all(value not in ("", "NA") for value in values):
            complete.append((hashlib.sha256(str(number).encode()).hexdigest(), number, values))
    complete.sort()
    carrier = FLIGHT_COLUMNS.index("carrier")
    seen: Counter[str] = Counter()
    first: list[tuple[str, int, tuple[str, ...]]] = []
    rest: list[tuple[str, int, tuple[str, ...]]] = []
    for item in complete:
        seen[item[2][carrier]] += 1
        reserved = seen[item[2][carrier]] <= FLIGHT_MIN_PER_CARRIER
        (first if reserved else rest).append(item)
    chosen = sorted((first + rest)[:FLIGHT_ROWS], key=lambda item: item[1])
    return gzip_stable(csv_bytes(FLIGHT_COLUMNS, (values for _, _, values in chosen)))


def digits(data: Path) -> bytes:
    """The 8 x 8 digits with a header."""
    text = (data / "digits" / "digits.csv").read_text(encoding="ascii")
    rows = [[int(float(cell)) for cell in line.split(",")] for line in text.splitlines()]
    if len(rows) != 1_797 or any(len(row) != 65 for row in rows):
        raise FixtureError("digits: expected 1,797 rows of 65 numbers")
    return gzip_stable(csv_bytes([f"p{i}" for i in range(64)] + ["label"], rows))


def lambda_genome(data: Path) -> bytes:
    """The phage genome under a short name."""
    genome = read_fasta(data / "lambda" / "lambda.fa")
    title = "lambda Enterobacteria phage lambda, complete genome, NC_001416.1"
    return gzip_stable(fasta_record(title, genome).encode("ascii"))


def reverse_complement(sequence: str) -> str:
    """The other strand, read in its own direction."""
    return sequence[::-1].translate(COMPLEMENT)


@dataclass(frozen=True, order=True)
class Segment:
    """An ungapped similar stretch; `phage` counts on the strand that was searched."""

    score: int
    phage: int
    bacterium: int
    length: int


def seed_diagonals(phage: str, bacterium: str) -> dict[int, list[int]]:
    """Phage positions of exact seed hits, grouped by diagonal (bacterium minus phage)."""
    index: dict[str, list[int]] = {}
    for i in range(len(phage) - SEED + 1):
        index.setdefault(phage[i : i + SEED], []).append(i)
    diagonals: dict[int, list[int]] = {}
    for j in range(len(bacterium) - SEED + 1):
        for i in index.get(bacterium[j : j + SEED], ()):
            diagonals.setdefault(j - i, []).append(i)
    return diagonals


def segments_on(phage: str, bacterium: str, diagonal: int, hits: list[int]) -> Iterator[Segment]:
    """Best-scoring stretches around the seeds of one diagonal.

    A match counts 1 and a mismatch -3, which is zero on average at 75 % identity, so a stretch
    ends where similarity falls below that; a drop of 60 under the maximum splits it.
    """
    reach = PATTERN_LENGTHS.stop
    start = max(0, -diagonal, min(hits) - reach)
    stop = min(len(phage), len(bacterium) - diagonal, max(hits) + reach)
    score = best = 0
    left, best_left, best_right = start, start, start
    for i in range(start, stop + 1):
        ended = i == stop
        if not ended:
            score += 1 if phage[i] == bacterium[i + diagonal] else -MISMATCH_COST
        if ended or score <= 0 or score < best - DROP:
            if best >= DROP:
                yield Segment(best, best_left, best_left + diagonal, best_right - best_left)
            score, best, left = 0, 0, i + 1
        elif score > best:
            best, best_left, best_right = score, left, i + 1


def best_segment(phage: str, bacterium: str) -> Segment:
    """The highest-scoring stretch of pattern size that is similar but not equal."""
    found = (
        segment
        for diagonal, hits in seed_diagonals(phage, bacterium).items()
        for segment in segments_on(phage, bacterium, diagonal, hits)
        if segment.length in PATTERN_LENGTHS and segment.score < segment.length
    )
    return max(found)


def best_alignment(text: str, pattern: str) -> tuple[int, int, bool]:
    """Fewest mismatches over all positions, by brute force: (mismatches, position, unique)."""
    counts = [
        sum(map(ne, pattern, text[i : i + len(pattern)]))
        for i in range(len(text) - len(pattern) + 1)
    ]
    fewest = min(counts)
    return fewest, counts.index(fewest), counts.count(fewest) == 1


def pattern_record(genome: str, segment: Segment, bacterium: str, strand: str) -> str:
    """A pattern in E. coli orientation with its checked best place in the phage genome.

    Positions are 0-based on the forward strand of lambda. The seed search only proposes the
    pattern; what the header states comes from comparing it with every position.
    """
    pattern = bacterium[segment.bacterium : segment.bacterium + segment.length]
    forward = best_alignment(genome, pattern)
    reverse = best_alignment(genome, reverse_complement(pattern))
    here, other = (forward, reverse) if strand == "forward" else (reverse, forward)
    mismatches, position, unique = here
    if not unique or mismatches >= other[0]:
        raise FixtureError(f"pattern at {segment.bacterium}: best alignment is not unique")
    first, last = segment.bacterium + 1, segment.bacterium + segment.length
    title = (
        f"ecoli_K12_{first}_{last} E. coli K-12 MG1655 positions {first}-{last} (1-based), "
        f"{segment.length} nt, as in E. coli; similar to lambda at {position} (0-based) on the "
        f"{strand} strand{' only' if strand == 'reverse' else ''} with {mismatches} mismatches, "
        f"fewest on the other strand {other[0]}"
    )
    return fasta_record(title, pattern)


def ecoli_patterns(data: Path) -> bytes:
    """Two pieces of E. coli left by relatives of lambda, one for each strand."""
    genome = read_fasta(data / "lambda" / "lambda.fa")
    bacterium = read_fasta(data / "ecoli" / "ecoli_MG1655.fa")
    forward = best_segment(genome, bacterium)
    reverse = best_segment(reverse_complement(genome), bacterium)
    return (
        pattern_record(genome, forward, bacterium, "forward")
        + pattern_record(genome, reverse, bacterium, "reverse")
    ).encode("ascii")


MAKERS: dict[str, Callable[[Path], bytes]] = {
    "gb1_crop.csv.gz": gb1_crop,
    "mpsa.csv.gz": mpsa,
    "flights.csv.gz": flights,
    "digits.csv.gz": digits,
    "lambda.fa.gz": lambda_genome,
    "ecoli_patterns.fa": ecoli_patterns,
}


def content(name: str, data: bytes) -> bytes:
    """The unpacked text: what must agree even if another zlib packs it differently."""
    return gzip.decompress(data) if name.endswith(".gz") else data


def check(target: Path, made: bytes) -> str:
    """Compare one fixture with the file in the tree and say how far they agree."""
    if not target.is_file():
        raise FixtureError(f"{target.name} is not in {target.parent}")
    present = target.read_bytes()
    if present == made:
        return "identical"
    try:
        same = content(target.name, present) == content(target.name, made)
    except (OSError, EOFError, zlib.error):
        same = False
    if not same:
        raise FixtureError("the content differs from the file in the tree")
    return "identical content, packed by another zlib"


def write(target: Path, made: bytes) -> None:
    """Write under a temporary name first, so that an interrupted run leaves no half file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".part")
    temporary.write_bytes(made)
    temporary.replace(target)


def make(name: str, data: Path) -> bytes:
    """One fixture, with missing inputs turned into advice."""
    try:
        made = MAKERS[name](data)
    except FileNotFoundError as error:
        path = Path(error.filename)
        raise FixtureError(
            f"{path} is missing: run `python3 scripts/fetch_data.py fetch {path.parent.name}`"
        ) from None
    if len(made) >= SIZE_LIMIT:
        raise FixtureError(f"{name}: {len(made):,} bytes, the limit is {SIZE_LIMIT:,}")
    return made


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line."""
    default = Path(os.environ.get("SAMPLEWISE_DATA") or ROOT / "target" / "data")
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="fixtures (default: all)")
    parser.add_argument("--data", type=Path, default=default, help="folder of fetch_data.py")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in MAKERS]
    if unknown:
        parser.error(f"unknown fixture {unknown[0]}; known: {', '.join(MAKERS)}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Make or check the fixtures; 0 if all went well, 1 otherwise."""
    options = parse(arguments)
    failed = False
    for name in options.names or MAKERS:
        target = FIXTURES / name
        try:
            made = make(name, options.data)
            if options.check:
                outcome = check(target, made)
            else:
                write(target, made)
                outcome = "written"
            print(f"{name}: {len(made):,} bytes, {outcome}", flush=True)
        except (FixtureError, OSError) as error:
            print(f"{name}: error: {error}", file=sys.stderr, flush=True)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Stopped; no half-written fixture was left.", file=sys.stderr)
        sys.exit(130)
