"""The registry of codes: complete, used everywhere, and the same in the pages and in `explain`."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

from conftest import NewDatabase
from support import converge, mysql

from converge.codes import Code, explained, registry
from converge.errors import BlockedError, ConvergeError
from converge.model.finding import Finding
from converge.model.recorded import decode
from converge.sandbox import Server
from converge.sandbox.server import SandboxError
from converge.types.traps import KINDS
from tools.codes_page import codes_markdown

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = re.compile(r"(?<!#)\b[A-Z]\d{3}\b")
NOT_CODES = {"X509"}
BY_A_VARIABLE = {
    "B001", "E000", "F005", "F007", "L011", "L025", "L033", "L034", "M180", "S020", "S023", "T005", "T020",
    "T023", "V033", "V034", "V035", "V110", "X027", "X028", "X029", "X030",
}  # fmt: skip
"""Codes whose severity no call site says by itself."""
SIDES = {"mysql": "SourceError", "postgres": "TargetError"}


def test_every_code_is_explained() -> None:
    assert list(registry()) == sorted(Code)
    for code, entry in registry().items():
        assert code.name == code
        assert entry.severity, code
        for one in entry.severity:
            assert re.fullmatch(r"block|lossy|absent|note|exit \d+", one), code
        assert entry.title and not entry.title.endswith("."), code
        assert entry.explanation.endswith("."), code
        assert entry.fix.endswith(".") or (not entry.fix and "note" in entry.severity), code


def test_pages_and_codes_name_each_other() -> None:
    assert (ROOT / "docs" / "codes.md").read_text("utf-8") == codes_markdown()
    for code in Code:
        assert code in (ROOT / "docs" / explained(code).page).read_text("utf-8"), code
    for page in PAGES:
        assert set(CODE.findall(page.read_text("utf-8"))) <= {*Code, *NOT_CODES}, page


def test_every_code_is_used_and_none_as_a_bare_text() -> None:
    used = {kind.code for kind in KINDS.values()}
    for path, text in _sources().items():
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.STRING:
                assert not re.fullmatch(r"""['"][A-Z]\d{3}['"]""", token.string), f"{path}: {token.string}"
        used |= set(re.findall(r"\bCode\.([A-Z]\d{3})\b", text))
    assert used == set(Code)


def test_every_severity_is_one_of_the_registry() -> None:
    said: defaultdict[str, set[str]] = defaultdict(set)
    for path, text in _sources().items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                for code in _codes_of(node):
                    said[code] |= set(_severities_of(node, code, SIDES.get(path.parent.name, "")))
            for code, severity in _rows(node):
                said[code].add(severity)
    for kind in KINDS.values():
        said[kind.code] |= {kind.harm, *(["lossy"] if kind.policies else [])}
    assert {code for code in Code if not said[code]} == BY_A_VARIABLE
    for name, severities in said.items():
        assert severities <= {*explained(Code[name]).severity}, name


def test_a_code_of_a_newer_version_stays_a_text() -> None:
    document = {"code": "P023", "severity": "note", "object": "film", "message": "m"}
    assert decode(Finding, document).code is Code.P023
    assert decode(Finding, document | {"code": "Z999"}).code == "Z999"


def test_explain_tells_what_a_code_means() -> None:
    ran = converge("explain", "P024")
    entry = explained(Code.P024)
    assert (ran.code, entry.title in ran.out, entry.fix in ran.out) == (0, True, True), ran.err
    document = converge("explain", "p024", "--json").json
    assert (document["object"], document["severity"]) == ("p024", ["lossy"])
    assert document["explanation"] == entry.explanation
    unknown = converge("explain", "P924")
    assert (unknown.code, "did you mean 'P" in unknown.err) == (2, True), unknown.err


def test_explain_takes_other_objects(mysql_8015: Server, new_mysql_database: NewDatabase) -> None:
    source = new_mysql_database(mysql_8015)
    mysql(
        source,
        "CREATE TABLE film (id INT PRIMARY KEY, title VARCHAR(20), INDEX by_title (title), code INT UNIQUE)",
    )
    mysql(source, "CREATE VIEW titles AS SELECT title FROM film")
    mysql(source, "CREATE VIEW locks AS SELECT GET_LOCK(title, 1) AS got FROM film")
    mysql(source, "CREATE TRIGGER film_insert BEFORE INSERT ON film FOR EACH ROW SET NEW.title = 'x'")
    mysql(source, "CREATE FUNCTION one() RETURNS INT DETERMINISTIC RETURN 1")
    for name, words in {
        "titles": ("view titles → titles", "CREATE VIEW"),
        "locks": ("view locks is not migrated", "P051", "get_lock"),
        "film_insert": ("trigger film_insert → film_insert", "CREATE TRIGGER", "P084"),
        "one": ("function one is not migrated", "P081"),
        "by_title": ("index film.by_title → ",),
        "film.title": ("title varchar(20)",),
        "film.code": ("code int(11) → code integer", "  rule     ", "index film.code → code"),
    }.items():
        ran = converge("explain", name, "--source", source)
        assert ran.code == 0, ran.err
        for word in words:
            assert word in ran.out, (word, ran.out)


@cache
def _sources() -> Mapping[Path, str]:
    paths = (ROOT / "converge").rglob("*.py")
    return {path: path.read_text("utf-8") for path in paths if path != ROOT / "converge" / "codes.py"}


def _codes_of(call: ast.Call) -> Iterator[str]:
    """The codes among the first arguments and ``code=``, each of them where the code is conditional."""
    values = [*call.args[:2], *(one.value for one in call.keywords if one.arg == "code")]
    for value in values:
        for node in _branches(value):
            if match := re.fullmatch(r"Code\.([A-Z]\d{3})", ast.unparse(node)):
                yield match[1]


def _severities_of(call: ast.Call, code: str, side: str) -> Iterator[str]:
    """What a finding or an error of this call is, as far as the call says it.

    The planner's findings are what the registry says, which must be one thing then.
    """
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = {one.arg: one.value for one in call.keywords}
    if name == "Known":  # it is raised as its side's error, if it does not say as which
        name = getattr(given.get("kind"), "id", side)
    if name in _errors():
        kind = _errors()[name]
        yield "block" if issubclass(kind, BlockedError) else f"exit {kind.exit_code}"
    elif name == "block":
        yield "block"
    elif name == "left":
        yield "note" if explained(Code[code]).severity == ("note",) else "absent"
    elif name in ("find", "find_rows") and "severity" not in given:
        (known,) = explained(Code[code]).severity
        assert known in ("block", "lossy", "absent", "note"), code
        yield known
    else:
        said = given.get("severity", given.get("harm", call.args[1] if len(call.args) > 1 else call))
        for node in _branches(said):
            if isinstance(node, ast.Constant) and node.value in ("block", "lossy", "note"):
                yield "absent" if "not_migrated" in given else node.value


def _rows(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Codes in rows of tables: ``(…, Code.S022, "note", …)``, ``{Code.A004: (UsageError, …)}``."""
    pairs: list[tuple[ast.expr | None, ast.expr]] = []
    if isinstance(node, ast.Tuple):
        pairs += pairwise(node.elts)
    elif isinstance(node, ast.Dict):
        pairs += [(key, one.elts[0]) for key, one in zip(node.keys, node.values, strict=True)
                  if isinstance(one, ast.Tuple) and one.elts]  # fmt: skip
    for key, value in pairs:
        if key is not None and (match := re.fullmatch(r"Code\.([A-Z]\d{3})", ast.unparse(key))):
            for branch in _branches(value):
                if isinstance(branch, ast.Constant) and branch.value in ("block", "lossy", "note"):
                    yield match[1], branch.value
                elif isinstance(branch, ast.Name) and branch.id in _errors():
                    yield match[1], f"exit {_errors()[branch.id].exit_code}"


def _branches(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.IfExp):
        yield from (*_branches(node.body), *_branches(node.orelse))
    else:
        yield node


@cache
def _errors() -> Mapping[str, type[ConvergeError]]:
    kinds: list[type[ConvergeError]] = [ConvergeError, SandboxError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return {kind.__name__: kind for kind in kinds}
