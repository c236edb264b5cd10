"""SparseFHT: where its source comes from, its sizes and its answers.

Its licence is CC BY-NC-SA 4.0: the source is no part of this repository and of nothing that is built from it. It
is fetched, or put by hand, into target/peers/data/sparsefht and serves this comparison only.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import DATA, HERE, Failure, Session, call, say, write_atomically

COMMIT = "22b464a9fe0d3d6b3f1aa1871e62c262ee9c14b0"
SOURCE = f"https://raw.githubusercontent.com/LCAV/SparseFHT/{COMMIT}/C"
SHA256 = {
    "fht.c": "69c237e849a4c74084f08c32937333fca3245d8f1b420d8ec2e92bb78203cc63",
    "fht.h": "4cd63af46bd848fa0babd88190415d0b0c5a2996c5402575aea140c3a17fe49f",
    "gf2.c": "9d156abcaf199cf439eb7477287988f8cb1c70c86db90fddf353755579167cfd",
    "gf2.h": "1a9f3770f12cd31ed86a0002be7dce13f7476499813180a2b9d78f753e1b176c",
    "sfht.c": "011431fdae2cfe0cc19df9267820210b0ea46bd87d9ad4dde03a7505feed94ba",
    "sfht.h": "5a2e7a0700bb5164a44e98fd2be5a2e3ba853f44af83715c40f7d29a5dafa36e",
}
FLAGS = ("-O3", "-march=native", "-std=gnu99")


@dataclass(frozen=True)
class FhtSetting:
    """Sizes for SparseFHT: groups · (variables - bins_log2 + 1) · 2^bins_log2 samples.

    `optimized` has fixed windows of bits as hashes, `random` random matrices.
    """

    method: str
    groups: int
    bins_log2: int

    def __str__(self) -> str:
        return f"{self.method} C={self.groups} B=2^{self.bins_log2}"

    def samples(self, variables: int) -> int:
        return self.groups * (variables - self.bins_log2 + 1) << self.bins_log2


def fetch(name: str) -> bytes:
    path = DATA / "sparsefht" / name
    if not path.is_file():
        try:
            with urllib.request.urlopen(f"{SOURCE}/{name}", timeout=60) as file:
                write_atomically(path, bytes(file.read()))
        except OSError as error:
            raise Failure(f"SparseFHT: {name} cannot be fetched: {error}") from error
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256[name]:
        raise Failure(f"SparseFHT: {name} is not the file that was pinned; delete target/peers/data/sparsefht")
    return data


def sparsefht_program(session: Session) -> Path | None:
    """The runner, or None and a note where the source cannot be had."""
    folder = session.folder / "sparsefht"
    program = folder / "wht_sparsefht"
    try:
        for name in SHA256:
            write_atomically(folder / name, fetch(name))
    except Failure as failure:
        say(f"  left out: {failure}")
        session.notes.append(f"left out: {failure}")
        return None
    sources = [folder / name for name in SHA256 if name.endswith(".c")]
    call(["cc", *FLAGS, f"-I{folder}", HERE / "wht_sparsefht.c", *sources, "-o", program, "-lm"])
    session.versions |= {"SparseFHT": COMMIT[:10], "SparseFHT flags": " ".join(FLAGS)}
    return program


def ask_sparsefht(
    program: Path, setting: FhtSetting, variables: int, sparsity: int, runs: int, signals: Iterable[tuple[int, Path]]
) -> list[dict[str, Any]]:
    """`coefficients`, `decode_s` and `whole_s` of each signal, given by its seed and its file."""
    sizes = [variables, sparsity, setting.groups, setting.bins_log2, runs]
    words = [str(word) for seed, path in signals for word in (seed, path)]
    reply = json.loads(call([program, setting.method, *map(str, sizes), *words]))
    answers: list[dict[str, Any]] = reply["signals"]
    return answers
