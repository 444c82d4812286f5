"""Every round that has ended, a line of JSON each: what is there is not done again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """What came of one round. `wrong` says what was not as it must be, and is empty when all was well."""

    kind: str
    seed: int
    commit: str
    seconds: int
    injected: int
    lost: int
    doubled: int
    changed: int
    alone: bool
    wrong: str


class Record:
    """The file, to which several processes append."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, ended: Ended) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(ended)) + "\n")

    def __iter__(self) -> Iterator[Ended]:
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                yield Ended(**json.loads(line))
