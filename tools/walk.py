"""Set the line numbers of the walks in ARCHITECTURE.md: `python -m tools.walk`.

A reference is a link such as ``[`run/copy.Copy.run`](converge/run/copy.py#L45)``: the definition's line is
looked up by its name, so that a test can say whether the document is up to date.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ARCHITECTURE = Path("ARCHITECTURE.md")
REFERENCE = re.compile(
    r"\[`(?P<module>[\w/]+)\.(?P<name>[A-Za-z_][\w.]*)`\]\(converge/(?P<path>[\w/]+)\.py#L\d+\)"
)


def with_lines(text: str) -> str:
    """The document with the definitions' lines as they are now. Raises ValueError for a name that is gone."""
    return REFERENCE.sub(_reference, text)


def _reference(match: re.Match[str]) -> str:
    module, name = match["module"], match["name"]
    line = _line(Path("converge", f"{module}.py"), name.split("."))
    return f"[`{module}.{name}`](converge/{module}.py#L{line})"


def _line(path: Path, names: list[str]) -> int:
    node: ast.AST = ast.parse(path.read_text("utf-8"))
    for name in names:
        children = ast.iter_child_nodes(node)
        defined = (one for one in children if isinstance(one, ast.ClassDef | ast.FunctionDef))
        found = next((one for one in defined if one.name == name), None)
        if found is None:
            raise ValueError(f"{path} has no {'.'.join(names)}")
        node = found
    assert isinstance(node, ast.ClassDef | ast.FunctionDef)
    return node.lineno


if __name__ == "__main__":
    ARCHITECTURE.write_text(with_lines(ARCHITECTURE.read_text("utf-8")), "utf-8")
