"""Runs the commands of a page on real servers, and writes what they print into the page.

python -m tools.run_page docs/tutorial.md docs/proof.md

- A `sh` block whose first word is `converge` is run by bash in an empty folder.
- A `toml` block with a comment as `# shop.toml` in its first line becomes this file.
- A `sql` block with `-- MySQL` or `-- PostgreSQL` in its first line is run there, in the database `shop`.
- A `text` block that follows one of them has what it printed.

A result that a command writes, and that `examples/` beside the page has too, is kept there: the site has it
as a page. A picture `pictures/NAME.png` of the page shows the top of `NAME.html`, which its commands have
written, as Chromium does. Other blocks are for the reader. Addresses are printed as those of servers on their
usual ports.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
from pymysql.constants import CLIENT

from converge import sandbox
from converge.sandbox.server import connect_mysql

SOURCE, TARGET = "mysql://root@127.0.0.1:3306/shop", "postgresql://postgres@127.0.0.1:5432/shop"
"""As pages write them."""
_PICTURE = re.compile(r"!\[.*?\]\((pictures/(\w+)\.png)\)")
_WINDOW = "1120,720"
"""Width and height of pictures in pixels."""
_BLOCK = re.compile(r"```(\w+)\n(.*?)```(?:\n\n```text\n(?P<printed>.*?)```)?", re.DOTALL)
_VARIES = {
    r"[0-9a-f]{64}": "DIGEST",
    r"\d{4}-\d\d-\d\d[T ]\d\d:[\d:.+]+": "TIME",
    r"\d[\d.,]* ?(s|B|kB|MB|GB|MB/s)\b": "SIZE",
    r"\b\d+\.\d\d\b(?=  )": "SECONDS",
    r"'?root'?@'?[\w%.]+'?": "ACCOUNT",
    r"-{3,}|[━─]{3,}": "LINE",
    r"\s+": " ",
}
"""What differs from run to run, and from server to server."""


def played(text: str, source: str, target: str, folder: Path) -> str:
    """The page with what its blocks print on these servers. The folder is empty, as are both databases."""

    def play(block: re.Match[str]) -> str:
        language, code = block[1], block[2]
        printed = _print(language, code, source, target, folder)
        if block["printed"] is None or printed is None:
            return block[0]
        return f"```{language}\n{code}```\n\n```text\n{printed.strip()}\n```"

    return _BLOCK.sub(play, text)


def alike(text: str) -> str:
    """The page without what differs from run to run."""
    for pattern, name in _VARIES.items():
        text = re.sub(pattern, name, text)
    return text


def _print(language: str, code: str, source: str, target: str, folder: Path) -> str | None:
    first = code.splitlines()[0]
    if language == "sh" and first.startswith("converge "):
        return _shell(code, source, target, folder)
    if language == "toml" and first.startswith("# "):
        (folder / first.removeprefix("# ")).write_text(code, "utf-8")
    if language == "sql" and first == "-- MySQL":
        with connect_mysql(source, client_flag=CLIENT.MULTI_STATEMENTS) as my, my.cursor() as cursor:
            cursor.execute(code)
            rows = list(cursor.fetchall())
            while cursor.nextset():
                pass
        return _rows(rows)
    if language == "sql" and first == "-- PostgreSQL":
        with psycopg.connect(target, autocommit=True) as pg:
            result = pg.execute(code.encode())
            return _rows(result.fetchall() if result.description else [])
    return None


def _rows(rows: list[tuple[object, ...]]) -> str:
    return "\n".join("  ".join(map(str, row)) for row in rows)


def _shell(code: str, source: str, target: str, folder: Path) -> str:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "COLUMNS": "110",
        "CONVERGE_SOURCE_URL": source,
        "CONVERGE_TARGET_URL": target,
    }
    script = f'converge() {{ {sys.executable} -m converge "$@"; }}\n{code}'
    ran = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    if not ran.stdout.strip():
        raise RuntimeError(f"{code} printed nothing: {ran.stderr}")
    return _usual(ran.stdout, source, target)


def _usual(text: str, source: str, target: str) -> str:
    for there, usual in (source, SOURCE), (target, TARGET):
        # A page has the place without the account.
        text = text.replace(there, usual).replace(there.rpartition("@")[2], usual.rpartition("@")[2])
    return text


def _take_pictures(page: Path, source: str, target: str, folder: Path) -> None:
    """Makes the pictures of a page anew, of what its commands have written into the folder."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or "chromium"
    for picture, name in _PICTURE.findall(page.read_text("utf-8")):
        html = folder / f"{name}.html"
        html.write_text(_usual(html.read_text("utf-8"), source, target), "utf-8")
        shot = f"--screenshot={(page.parent / picture).absolute()}"
        options = "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={_WINDOW}", shot
        subprocess.run([chromium, *options, html.as_uri()], check=True, capture_output=True, timeout=120)


def main(names: list[str]) -> None:
    with sandbox.start("mysql:8.0.33", "postgres:17.5") as (my, pg):
        for name in names:
            page = Path(name)
            with (
                my.new_database("shop") as source,
                pg.new_database("shop") as target,
                tempfile.TemporaryDirectory() as folder,
            ):
                page.write_text(played(page.read_text("utf-8"), source, target, Path(folder)), "utf-8")
                _take_pictures(page, source, target, Path(folder))
                for kept in (page.parent / "examples").iterdir():
                    if (made := Path(folder, kept.name)).is_file():
                        kept.write_text(_usual(made.read_text("utf-8"), source, target), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
