"""Pairs names: the same spelling first, then another case where only one candidate is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Pairing:
    pairs: dict[str, str]
    source_only: list[str]
    target_only: list[str]


def pair_names(source: Collection[str], target: Collection[str]) -> Pairing:
    pairs = {name: name for name in source if name in target}
    source_left = [name for name in source if name not in pairs]
    target_left = [name for name in target if name not in pairs]
    source_folds = Counter(name.casefold() for name in source_left)
    target_folds = Counter(name.casefold() for name in target_left)
    by_fold = {name.casefold(): name for name in target_left}
    for name in source_left:
        fold = name.casefold()
        if source_folds[fold] == target_folds[fold] == 1:
            pairs[name] = by_fold[fold]
    found = set(pairs.values())
    return Pairing(
        {name: pairs[name] for name in source if name in pairs},
        [name for name in source if name not in pairs],
        [name for name in target if name not in found],
    )
