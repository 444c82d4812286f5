"""A plan file: only its digests are used, so that nothing of it can be run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

from converge.codes import Code
from converge.errors import UsageError
from converge.model.plan import digest


def digests_of(path: str) -> Mapping[str, str]:
    """The digest of each database's plan, by its name; of a single plan under "". Raises UsageError."""
    again = f"converge plan -o {path}"
    try:
        document = json.loads(Path(path).read_text("utf-8"), object_hook=lambda one: SimpleNamespace(**one))
        if hasattr(document, "command"):
            raise UsageError(
                f"{path} is the report of `converge {document.command}`, not a plan file",
                code=Code.U006,
                hint=again,
            )
        plans = {one.name: one for one in document.databases} if hasattr(document, "databases") else None
        found = {name: (str(one.digest), digest(one)) for name, one in (plans or {"": document}).items()}
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read as a plan file: {error}", code=Code.U006, hint=again
        ) from error
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is not a plan file of converge", code=Code.U006, hint=again) from error
    if any(stated != true for stated, true in found.values()):
        raise UsageError(
            f"{path} was changed after it was written: its digest stands for another plan",
            code=Code.U013,
            hint=f"what a plan decides is changed by a map: {again} --map FILE",
        )
    return {name: stated for name, (stated, _) in found.items()}


def digest_for(name: str, digests: Mapping[str, str] | None) -> str:
    """The digest that this database's plan must have; empty when there is no plan file.

    Raises UsageError when the file has no plan of it.
    """
    if digests is None:
        return ""
    if name not in digests:
        of = f"the database {name}" if name else "a single database"
        raise UsageError(
            f"the plan file has no plan of {of}",
            code=Code.U006,
            hint="converge plan -o FILE, with the same options",
        )
    return digests[name]
