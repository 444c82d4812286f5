"""The reports: their words, what hostile names cannot do to them, and how they look in a real browser."""

from __future__ import annotations

import json
import re
import shlex
import stat
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import pytest
from browser import Browser, chromium
from conftest import NewDatabase
from report_values import SCRIPT, STYLE, every_document, plan, result
from selenium.webdriver.common.keys import Keys
from support import converge, mysql, postgres

from converge.codes import Code
from converge.matrix.report import matrix_document, matrix_suites
from converge.matrix.result import Cell, Matrix
from converge.model.check import CheckResult
from converge.model.finding import Finding
from converge.model.plan import Outcome
from converge.model.result import GoingBack, NotCompared, Pace, Reject, Result, TableResult
from converge.model.validation import Compared, Deviation, Validation
from converge.report.charts import copy_line, pace_curve, size_bars
from converge.report.document import Fold, Verdict, Words, grid, owner, section
from converge.report.findings import findings
from converge.report.html import to_html
from converge.report.junit import to_junit
from converge.report.markdown import to_markdown
from converge.report.plan import plan_document, plan_json
from converge.report.plan_text import SECTIONS, plan_text
from converge.report.run import run_document
from converge.report.run_cases import run_suites
from converge.report.run_text import run_text
from converge.report.run_words import run_verdict
from converge.report.several import FORMS
from converge.report.text import to_text
from converge.report.validation import validation_document, validation_text
from converge.report.words import visible
from converge.sandbox import Server

TABLES, FINDINGS = 77, 10_000


def words(html: str) -> str:
    """The text of a page as one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", html.partition("</style>")[2]).split())


def test_the_plan_says_the_same_in_every_form() -> None:
    made = plan()
    forms = (
        words(to_html(plan_document(made))),
        to_markdown(plan_document(made)),
        json.dumps(plan_json(made), ensure_ascii=False),
    )
    for form in forms:
        for fact in (
            "film", "table_1", "column_9", "varchar(200)", "mysql8 [[type]] #9", "P001", "finding 2",
            "first of them id=0",
            "3 of 1,000 rows hold a zero date", "zero_date", "2 tables, 2,000 rows",
            "as measured on two cores", "film_insert", "its last line", "film_pkey", "d1ge57",
        ):  # fmt: skip
            assert fact in form.replace("\\[", "[").replace("\\]", "]"), fact
    for form in forms[:2]:
        assert "12:04 min" in form
        assert "7.0 GB" in form
        assert "next 1001" in form
    text = plan_text(made, shown=SECTIONS)
    assert "forecast  12:04 min" in text
    assert "seen  0 rows, the first of them id=0" in text
    assert "scan      2 tables, 2,000 rows" in text


@pytest.mark.parametrize(
    ("severity", "verdict"),
    [
        ("note", "Ready to migrate 1 object not migrated · 0 losses."),
        ("lossy", "Ready to migrate 1 object not migrated · 3 losses."),
        ("block", "Blocked 3 findings must be resolved before anything is written."),
    ],
)
def test_the_verdict_comes_first(severity: str, verdict: str) -> None:
    made = plan(severity=severity)  # type: ignore[arg-type]
    page = words(to_html(plan_document(made)))
    assert page.index(verdict) < page.index("Facts", page.index(verdict)) < page.index("digest")
    # What blocks is said in the banner, with a link to it.
    assert ('<a href="#block-P000">' in to_html(plan_document(made))) == (severity == "block")


def test_a_saved_page_says_what_it_is() -> None:
    title = r"<title>(.*?)</title>.*<h1>(.*?)</h1>"
    found = re.search(title, to_html(run_document(result())), re.DOTALL)
    assert found is not None
    both = "db.example:3306/shop → pg.example:5432/shop"
    assert found[1] == f"{both}: differs (converge migrate, 2026-03-01 10:20:30 UTC)"
    assert found[2] == both
    assert "app@" not in found[1] + found[2]


def test_what_needs_work_comes_first_and_what_is_empty_last() -> None:
    made = result()
    made.findings = [replace(made.findings[0], severity=severity) for severity in ("note", "lossy")]
    document = run_document(made)
    names = [one.id for one in document.sections]
    assert names[:4] == ["differences", "checks", "work", "not-migrated"]
    assert names.index("facts") < names.index("tables") < names.index("note")
    assert all(one.blocks for one in document.sections)
    assert document.nothing == "no row was rejected; no view was compared"
    # What stands open in Markdown needs work.
    folded = to_markdown(document).partition("<details>")
    assert "## Checks (2)" in folded[0] and "\n## " not in folded[2]
    assert folded[2].count("<details>") + 1 == folded[2].count("</details>")


def test_amber_says_that_something_is_left_to_do() -> None:
    made = result()
    made.verdict, made.not_migrated, made.findings, made.checks = "verified", [], [], []
    assert run_verdict(made).tone == "good"
    skipped = CheckResult("x", "skipped", "= 0", message="the source has no table nowhere")
    for change in ({"checks": [skipped]}, {"not_compared": [NotCompared("view", "v", "why")]}):
        assert run_verdict(replace(made, **change)).tone == "warn"


def test_a_matrix_is_amber_where_a_version_lacks_something() -> None:
    cells = (Cell("15", plan=plan(severity="lossy")), Cell("17.5", plan=plan()))
    matrix = Matrix("mysql://a@b/c", "8.0.33", "", 3.3, cells)
    verdict = matrix_document(matrix).verdict
    assert (verdict.word, verdict.tone) == ("verified", "warn")
    assert verdict.words.endswith(" · 1 object not migrated · 3 losses")
    # All of both versions are named, each once.
    lost = {(one["code"], one["object"]) for one in matrix.to_json()["findings"]}
    assert lost == {(one.code, one.object) for one in plan(severity="lossy").findings} and len(lost) == 3
    page = to_markdown(matrix_document(matrix)).partition(
        "<details><summary>Losses and objects not migrated"
    )[2]
    suites = to_junit("matrix", matrix_suites(matrix))
    assert all(f"#### {code}" in page and f"`{name}`" in page for code, name in lost)
    assert all(f'classname="converge.findings.{code}" name="{name}"' in suites for code, name in lost)
    whole = (Cell("15", plan=replace(plan(), outcomes=())),)
    assert matrix_document(replace(matrix, cells=whole)).verdict.tone == "good"


def test_figures_have_singular_names_and_commands_are_code() -> None:
    made = result()
    made.checks, made.next_command = [], ""
    made.tables[0].rows_missing = 1
    page = to_html(run_document(made))
    assert "object not migrated" in words(page) and "objects not migrated 1" not in words(page)
    assert "<code>converge verify --repair</code> replaces" in page and "`converge" not in page
    assert "`converge verify --repair` replaces" in to_markdown(run_document(made))
    # A database's own names keep theirs.
    assert "a `b` c" in to_html(validation_document(Validation("a `b` c", "", "postgresql://a@b/c")))


def test_a_failed_check_is_no_difference() -> None:
    made = result()
    assert run_verdict(made).word == "differs"
    made.tables = [replace(one, verified=True) for one in made.tables]
    verdict = run_verdict(made)
    assert (verdict.word, verdict.tone, made.exit_code) == ("check failed", "bad", 1)
    assert verdict.words.startswith("every row of 2 tables is equal; 1 of 2 checks")


def test_charts_show_what_was_recorded() -> None:
    pace = Pace()
    for second in range(1000):
        pace.add(second, 1, 10)
    assert (pace.seconds, len(pace.bytes)) == (16, 63)
    assert (sum(pace.rows), sum(pace.bytes), pace.bytes[0]) == (1000, 10_000, 160)
    curve = pace_curve(pace)
    assert curve is not None
    assert (curve.top, max(curve.heights), len(curve.heights)) == ("10 B/s", 100, 63)
    bars = size_bars("Largest tables", [(f"t{number}", number, 1) for number in range(20)])
    assert [name for name, _ in bars.rows] == [*(f"t{number}" for number in range(19, 7, -1)), "8 others"]
    assert [one.words for one in bars.rows[-1][1]] == ["28 B", "8"]
    assert [one.width for one in bars.rows[0][1]] == [100, 100]


def test_the_run_says_the_same_in_every_form() -> None:
    made = result()
    forms = (
        words(to_html(run_document(made))),
        to_markdown(run_document(made)),
        json.dumps(made.to_json(), ensure_ascii=False),
    )
    for form in forms:
        for fact in ("film", "8.0.33", "17.5", "locked", "left", "right", "P001", "zero_date", "film_insert",
                     "its last line", "converge verify", "copy", "differs", "nobody is lost",
                     "as many films", "looked at again"):  # fmt: skip
            assert fact in form, fact
    for form in forms[:2]:
        assert "1 of 2 tables differs from the source" in form
        assert "NO: values differ" in form
        assert "all readers saw one snapshot of the source" in form
    # A space at the end is a difference that must be seen.
    made.differences[0] = replace(made.differences[0], target="left ")
    assert "&#39;left &#39;" in to_html(run_document(made))
    assert "'left '" in to_markdown(run_document(made))
    assert "film.made: 3 rows hold a zero date: null" in run_text(made)


def test_what_is_cut_is_counted() -> None:
    made = result()
    made.rejects = [Reject("film", f"id={n}", "made", "", 0, "22007", "not a date") for n in range(5000)]
    made.going_back = GoingBack("moved", "", tuple(f"table_{n}" for n in range(1021)))
    page, markdown = words(to_html(run_document(made))), to_markdown(run_document(made))
    assert "Rejected rows 5,000" in page and "## Rejected rows (5,000)" in markdown
    assert "and 4,000 more" in page and "and 4,000 more" in markdown
    lines = [" ".join(line.split()) for line in run_text(made).splitlines()]
    assert {"rejected and 4,980 more", "moved and 1,001 more"} <= {*lines}
    found = Validation("4f2c", "fill", "postgresql://a@b/c", verdict="differs", downgrade="catalog")
    differ = tuple(Deviation("film", f"id={n}", "made", "1", None) for n in range(23))
    found.compared = [Compared("film", 523, 500, 0, {"made": 23}, differ)]
    found.not_restored = [f"index i{n}" for n in range(25)]
    lines = [" ".join(line.split()) for line in validation_text(found).splitlines()]
    assert "Differences (523)" in (markdown := to_markdown(validation_document(found)))
    assert "and 500 more" in markdown
    assert {"differs and 503 more", "not back and 5 more"} <= {*lines}
    assert any(line.endswith("but not index i0, index i1, index i2, and 22 more") for line in lines)


def test_a_run_without_tables_or_comparison_is_a_page_too() -> None:
    failed = Result("migrate", "mysql://a@b/c", "postgresql://d@e/f")
    page = words(to_html(run_document(failed)))
    assert "Failed The run has not come to its end." in page
    assert "Nothing to show: no values were compared; no row was rejected;" in page
    assert "no table was reached" in page
    assert "converge migrate --resume" in page
    assert "Failed" not in words(to_html(plan_document(plan(tables=1, findings=0))))
    # A table without rows has no head either.
    assert len(run_text(failed).splitlines()) == 2
    nothing = plan_text(replace(plan(), tables=()), shown=["types", "tables"])
    assert "The source has no tables that are selected." in nothing
    assert "\ncolumns" not in nothing


def test_a_result_survives_its_json() -> None:
    made = result()
    assert Result.from_json(json.loads(json.dumps(made.to_json()))) == made
    # What an earlier version wrote had fewer keys.
    old = made.to_json()
    for key in ("started", "not_migrated", "changes", "next"):
        del old[key]
    old["source"], old["target"] = {"url": "s"}, {"url": "t"}
    assert Result.from_json(old).source_version == ""


def test_names_and_messages_are_never_markup() -> None:
    hostile = plan(first=SCRIPT)
    finding = Finding(Code.P001, "lossy", SCRIPT, STYLE, "hint </code>", "seen <i>")
    hostile = replace(hostile, findings=(finding,))
    run = result(first=SCRIPT)
    run.findings = [finding]
    for page in (to_html(plan_document(hostile)), to_html(run_document(run))):
        # The page's own, which its policy names by its digest.
        (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
        assert page.count("<script") == 1
        assert f"script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'\"" in page
        assert not re.search("innerHTML|outerHTML|insertAdjacent|document.write|eval|Function", script)
        assert page.count("</style>") == 1
        assert "<b>" not in page
        assert "<i>" not in page.replace("<i> ", "")
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "default-src &#39;none&#39;" not in page
        assert "default-src 'none'" in page
    for document in (to_markdown(plan_document(hostile)), to_markdown(run_document(run))):
        outside = re.sub(r"^ *```.*?^ *```$", "", document, flags=re.MULTILINE | re.DOTALL)
        assert "<script" not in outside
        assert "<b>" not in outside


def test_control_characters_become_their_pictures() -> None:
    assert visible("a\x1b[31m\x00\x7f\ud800\n\tb") == "a␛[31m␀␡\ufffd\n\tb"
    run = result(first="a\x1bb\x00c\uffff")
    ElementTree.fromstring(to_junit("converge migrate", run_suites(run)))
    assert "a␛b␀c\ufffd" in to_html(run_document(run))
    assert "\x1b" not in run_text(run) + plan_text(plan(first="a\x1bb"))


def test_markdown_holds_any_text() -> None:
    made = result(first="a|b `c` [d](e)")
    made.findings[0] = replace(made.findings[0], hint="x\n```\n" + "y " * 99)
    document = to_markdown(run_document(made))
    rows = [line for line in document.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows if "public." in row}
    assert widths == {9}
    assert "[d](e)" not in document
    assert "\n````\n" in document


def test_a_report_says_when_the_source_was_as_it_says() -> None:
    """It is read, and written again, when the application has long changed servers."""
    made = replace(result(), started="2026-03-01T10:20:30+00:00", going_back=GoingBack("still", "no change"))
    text = " ".join(to_markdown(run_document(made)).split())
    ended = "As of the end of this run, which began at 2026-03-01 10:20:30 UTC, the source is as it was"
    assert f"{ended} at the snapshot: no change." in text
    assert "converge has only read" not in text


def test_what_findings_share_is_said_once() -> None:
    same = [Finding(Code.P001, "note", f"t{number}", "the same", "fix it") for number in range(3)]
    other = Finding(Code.P001, "block", "t", "first"), Finding(Code.P001, "block", "u", "second")
    block, note = findings([*same, *other]).levels
    assert (block.name, block.count, block.groups[0].message) == ("block", 2, "")
    assert (note.groups[0].message, note.groups[0].hint, note.groups[0].names_only) == (
        "the same",
        "fix it",
        True,
    )
    rules = grid("Estimate", (("rule", "words"),), [("a",), ("b",), ("c",)])
    folds = [Fold(name, (Words("source"),)) for name in ("one", "two")]
    assert (section("port", "Left to port", rules, *folds).count, section("x", "X", rules).count) == (2, 3)
    assert owner("a.b.c", {"a", "a.b"}) == "a.b"
    assert owner("x.y", {"a"}) is None


def test_junit_fails_for_what_is_not_equal() -> None:
    made = result(tables=3)
    made.tables.append(TableResult("unseen", "public.unseen", 5, 5))
    made.findings = [Finding(Code.P001, "block", "film", "no"), Finding(Code.P003, "lossy", "film", "less")]
    root = ElementTree.fromstring(to_junit("converge migrate", run_suites(made)))
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("skipped")) == (
        "testsuites",
        "9",
        "4",
        "2",
    )
    cases = {f"{case.get('classname')} {case.get('name')}": case for case in root.iter("testcase")}
    assert all(float(case.get("time", "")) >= 0 for case in cases.values())
    failure = cases["converge.tables film"].find("failure")
    assert failure is not None
    assert "source 'left', target 'right'" in (failure.text or "")
    assert cases["converge.tables table_1"].find("*") is None
    assert cases["converge.tables unseen"].find("skipped") is not None
    assert cases["converge.findings.P001 film"].find("failure") is not None
    assert cases["converge.checks as many films"].find("failure") is not None
    assert cases["converge.checks nobody is lost"].find("*") is None
    for suite in root:
        assert int(suite.get("tests", "")) == len(suite.findall("testcase"))
    # A run that failed before any table is no green tree.
    failed = ElementTree.fromstring(to_junit("converge migrate", run_suites(Result("migrate", "s", "t"))))
    assert failed.get("failures") == "1"


def test_reports_ship_in_the_wheel() -> None:
    templates = Path(__file__).parents[1] / "converge" / "report" / "templates"
    assert {file.suffix for file in templates.iterdir()} == {".html", ".css", ".js"}
    for file in templates.iterdir():
        text = file.read_text("utf-8")
        assert "http:" not in text
        assert "https:" not in text


# In a real browser.


@pytest.fixture(scope="module", params=["with scripts", "without scripts"])
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    with chromium(scripts=request.param == "with scripts") as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both reports of a large database."""
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "plan": to_html(plan_document(plan(TABLES, FINDINGS))),
        "run": to_html(run_document(result(TABLES, FINDINGS))),
    }
    for name, html in made.items():
        assert len(html.encode()) < 6_000_000
        (folder / f"{name}.html").write_text(html, "utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("name", ["plan", "run"])
@pytest.mark.parametrize("width", [1280, 400])
def test_a_large_report_is_quiet_and_usable(
    browser: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    browser.emulate()
    browser.open(pages[name], width=width)
    assert browser.requests() == [pages[name].as_uri()]
    assert browser.console() == []
    # 10,000 findings are folded: a page of tables, not of findings.
    assert browser.height() < 20_000
    assert browser.overflow() <= 0
    assert not browser.shown("#note-P001 li")
    browser.find("#findings-note .group:nth-of-type(2) summary").click()
    assert browser.shown("#note-P001 li")
    assert browser.overflow() <= 0
    assert "finding 1:" in browser.find("#note-P001 li").text
    links = browser.ask("[...document.querySelectorAll('nav a')].map(one => one.hash).join(' ')").split()
    assert len(links) == len(set(links))
    browser.find('nav a[href="#tables"]').click()
    top = browser.ask("document.querySelector('#tables').getBoundingClientRect().top")
    assert 0 <= top < 900
    assert browser.requests() == []
    assert browser.console() == []


def test_a_link_to_a_folded_table_unfolds_it(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["plan"])
    assert not browser.shown("#table-1 td")
    browser.find("#findings-note .group summary").click()
    browser.find('#note-P000 a[href="#table-1"]').click()
    assert browser.shown("#table-1 td")
    assert "column_9" in browser.find("#table-1").text


@pytest.mark.parametrize("name", ["plan", "run"])
def test_the_page_follows_the_readers_scheme(browser: Browser, pages: dict[str, Path], name: str) -> None:
    browser.open(pages[name])
    for scheme, low, high in (("light", 230, 255), ("dark", 0, 60)):
        browser.emulate(scheme=scheme)
        assert low <= browser.brightness("body") <= high
        assert low <= browser.brightness(".verdict") <= high
    # Paper is white whatever the reader likes on a screen.
    browser.emulate(media="print", scheme="dark")
    assert browser.brightness("body") >= 230
    browser.emulate()


def test_paper_sums_up_what_the_screen_folds(browser: Browser, tmp_path: Path) -> None:
    """At most six pages for twenty tables, each with its number."""
    file = tmp_path / "page.html"
    many = [f"table_{number}" for number in range(1, 20)]
    for document in (plan_document(plan(20, 200)), run_document(result(20, 200))):
        file.write_text(to_html(document), "utf-8")
        browser.open(file)
        pages = browser.pdf().pages
        assert len(pages) <= 6
        for number, page in enumerate(pages, 1):
            assert f"{number} / {len(pages)}" in page.extract_text()
        # The sum of a table stands at its end only.
        assert sum(page.extract_text().count("\n20 tables ") for page in pages) <= 1
        text = browser.paper()
        for shown in (*many, document.verdict.words, "P006", "db.example:3306/shop → pg.example:5432/shop"):
            assert shown in text, shown
        for folded in ("CREATE TABLE", "finding 199", "Filter"):
            assert folded not in text, folded


def test_a_long_report_can_be_printed(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["run"])
    assert len(browser.pdf().pages) <= 10


def test_tables_are_sorted_and_filtered(browser: Browser, pages: dict[str, Path]) -> None:
    """By the keyboard; without scripts there is nothing that would do nothing."""
    browser.open(pages["run"])
    if not browser.scripted:
        assert browser.ask("document.querySelectorAll('main button, main input').length") == 0
        return
    names = "[...document.querySelectorAll('.results tbody tr:not([hidden]) th')].map((one) => one.innerText)"
    head = browser.find(".results thead th:first-child button")
    head.send_keys(Keys.ENTER)
    assert browser.find(".results thead th").get_attribute("aria-sort") == "ascending"
    numbered = [f"table_{number}" for number in range(1, TABLES)]
    assert browser.ask(names) == ["film", *numbered]
    head.send_keys(Keys.SPACE)
    assert browser.find(".results thead th").get_attribute("aria-sort") == "descending"
    assert browser.ask(names) == [*reversed(numbered), "film"]
    browser.find(".filter input").send_keys("TABLE_7")
    assert len(browser.ask(names)) == 8
    assert browser.find(".filter output").text == f"8 of {TABLES}"
    assert browser.console() == []


def test_numbers_are_sorted_by_what_they_are_worth(browser: Browser, tmp_path: Path) -> None:
    texts = ["9 B", "1.0 GB", "12.0 kB", "3:07 min", "2.5 s", "1,000", ""]
    table = grid("Sizes", (("size", "number"), ("what", "words")), [(text, "x") for text in texts])
    file = tmp_path / "page.html"
    document = replace(plan_document(plan()), all_sections=(section("sizes", "Sizes", table),))
    file.write_text(to_html(document), "utf-8")
    browser.open(file)
    if browser.scripted:
        browser.find("#sizes button").click()
        column = "[...document.querySelectorAll('#sizes tbody td:first-child')].map((one) => one.innerText)"
        assert browser.ask(column)[-len(texts) :] == [
            "1.0 GB",
            "12.0 kB",
            "1,000",
            "3:07 min",
            "9 B",
            "2.5 s",
            "",
        ]


@pytest.mark.parametrize("browser", ["with scripts"], indirect=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_can_read_the_pages(browser: Browser, tmp_path: Path, scheme: str) -> None:
    """No violation of WCAG 2.2 A or AA, folded or not, on a wide screen or a narrow one."""
    browser.emulate(scheme=scheme)
    file = tmp_path / "page.html"
    for name, document in every_document().items():
        file.write_text(to_html(document), "utf-8")
        for width in (1280, 600):
            browser.open(file, width=width)
            assert browser.overflow() <= 0, name
            browser.ask("document.querySelectorAll('details').forEach((one) => { one.open = true })")
            assert browser.violations() == [], (name, width)
            assert browser.overflow() <= 0, name
    browser.emulate()


def test_the_keyboard_reaches_the_verdict_first(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["plan"])
    browser.find("body").send_keys(Keys.TAB)
    assert browser.shown(".skip:focus")
    assert browser.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.find(".skip").send_keys(Keys.ENTER)
    assert browser.ask("location.hash") == "#verdict"


def test_hostile_names_do_nothing_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    for name, page in (
        ("plan", to_html(plan_document(plan(first=SCRIPT)))),
        ("run", to_html(run_document(result(first=SCRIPT)))),
    ):
        file = tmp_path / f"{name}.html"
        file.write_text(page, "utf-8")
        browser.open(file)
        assert browser.console() == []
        assert browser.ask("document.scripts.length") == 1
        assert SCRIPT in browser.find("#tables").text


# From a real run.


@pytest.fixture
def moved(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> Callable[[], tuple[str, str]]:
    def new() -> tuple[str, str]:
        source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
        mysql(
            source,
            "CREATE TABLE film (id INT AUTO_INCREMENT PRIMARY KEY, title VARCHAR(40), KEY film (title)); "
            "INSERT INTO film (title) VALUES ('one'), ('two <b>'); "
            "CREATE TRIGGER film_insert AFTER INSERT ON film FOR EACH ROW SET @title = NEW.title",
        )
        return source, target

    return new


def test_the_ledger_gives_the_runs_reports_again(
    moved: Callable[[], tuple[str, str]], tmp_path: Path
) -> None:
    source, target = moved()
    first = [tmp_path / f"first{ending}" for ending in FORMS]
    again = [tmp_path / f"again{ending}" for ending in FORMS]
    options = [word for file in first for word in ("--report", str(file))]
    ran = converge("migrate", "--source", source, "--target", target, *options)
    assert ran.code == 0, ran.err
    command = re.search(r"^notes +\d+; converge (report .*) has their reasons$", ran.out, re.MULTILINE)
    assert command is not None, ran.out
    assert converge(*shlex.split(command[1]), folder=str(tmp_path)).code == 0
    assert "Notes" in words((tmp_path / "run.html").read_text("utf-8"))
    outputs = [word for file in again for word in ("-o", str(file))]
    ran = converge("report", "--target", target, *outputs)
    assert ran.code == 0, ran.err
    for one, other in zip(first, again, strict=True):
        text = one.read_text("utf-8")
        assert _rounded(text) == _rounded(other.read_text("utf-8"))
        assert stat.S_IMODE(one.stat().st_mode) == stat.S_IMODE(other.stat().st_mode) == 0o600
        assert "film_insert" in text or one.suffix == ".xml"
        assert "8.0.33" in text
        password = source.split(":")[2].partition("@")[0]
        assert not password or f":{password}@" not in text
    assert ElementTree.parse(again[-1]).getroot().get("failures") == "0"
    written = json.loads(first[FORMS.index(".json")].read_text("utf-8"))
    (film,) = written["tables"]
    assert (sum(written["pace"]["rows"]), sum(written["pace"]["bytes"])) == (2, film["bytes"])
    assert 0 <= film["began"] <= film["ended"]
    document = converge("report", "--target", target, "-o", str(again[0]), "--json").json
    assert (document["command"], document["exit_code"]) == ("report", 0)


def _rounded(text: str) -> str:
    """Without the digits that JSON drops from seconds, and the rates that follow from them."""
    return re.sub(r"\d+\.\d+(%| s\b|\b)", "n", re.sub(r"[\d.]+ k?B a second", "n a second", text))


def test_a_report_needs_a_run_that_has_ended(moved: Callable[[], tuple[str, str]], tmp_path: Path) -> None:
    source, target = moved()
    file = tmp_path / "report.html"
    none = converge("report", "--target", target, "-o", str(file))
    assert (none.code, "U008" in none.err, file.exists()) == (2, True, False)
    assert converge("migrate", "--source", source, "--target", target).code == 0
    postgres(target, "UPDATE converge.run SET state = 'running'")
    running = converge("report", "--target", target, "-o", str(file))
    assert (running.code, "U009" in running.err, "converge status" in running.err) == (2, True, True)
    postgres(target, "UPDATE converge.run SET state = 'finished', report = NULL")
    assert "has no report" in converge("report", "--target", target, "-o", str(file)).err
    wrong = converge("report", "--target", target, "-o", str(tmp_path / "report.pdf"))
    assert (wrong.code, "U005" in wrong.err, ".html" in wrong.err) == (2, True, True)


def test_the_plan_is_written_as_a_page_and_as_markdown(
    moved: Callable[[], tuple[str, str]], tmp_path: Path
) -> None:
    source, _ = moved()
    page, document = tmp_path / "plan.html", tmp_path / "plan.md"
    ran = converge("plan", "--source", source, "--html", str(page), "--md", str(document))
    assert ran.code == 0, ran.err
    for file in (page, document):
        assert "film_insert" in file.read_text("utf-8")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # Found before the source is looked at.
    refused = converge("plan", "--source", source, "--html", str(tmp_path / "none" / "plan.html"))
    assert (refused.code, "U004" in refused.err) == (2, True)


def test_what_is_not_migrated_has_one_number() -> None:
    """Objects have the verdict's number; findings about them have a title of their own."""
    made = result()
    made.verdict = "verified"
    names = ("v", "w", "t.check")
    made.not_migrated = [Outcome("view", name, "not migrated", "", "why") for name in names]
    made.findings = [Finding(Code.P051, "lossy", "v", "view is not migrated", not_migrated=True)]
    page = to_markdown(run_document(made))
    assert "3 objects not migrated" in page and "## Not migrated (3)" in page
    assert "### Why objects are not migrated (1)" in page and "### Not migrated" not in page


def test_what_was_seen_has_lines_of_its_own() -> None:
    several = replace(
        result().findings[0], code=Code.P000, message="6 findings", evidence="L001 a: x\nL002 b: y"
    )
    one = replace(several, message="hold NULL", evidence="rows id 81, 481, …", object="t.c")
    made = result()
    made.findings = [several, replace(several, message="7 findings", object="b"), one]
    page = to_markdown(run_document(made))
    assert "6 findings. Seen:\n  - L001 a: x\n  - L002 b: y\n- `b`: 7 findings. Seen:\n" in page
    assert "hold NULL. Seen: rows id 81, 481, …\n" in page
    text = to_text(Verdict("failed", "", "bad"), findings(made.findings))
    assert "seen  L001 a: x\n              L002 b: y\n" in text


def test_a_suite_without_cases_is_left_out() -> None:
    made = result()
    made.checks, made.not_compared = [], []
    assert [suite.name for suite in run_suites(made) if not suite.cases] == []


def test_the_order_of_a_timeline_is_said() -> None:
    tables = [TableResult(f"t{n}", f"t{n}", began=n / 2, ended=n) for n in range(1, 20)]
    assert copy_line(tables).title == "Copy by table: the 12 longest of 19 tables, ordered by start"
