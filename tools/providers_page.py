"""docs/providers: a page for each service, from `converge/providers.toml`.

python -m tools.providers_page docs/providers
"""

from __future__ import annotations

import sys
from pathlib import Path

from converge.providers import Provider, pages, providers

_HEAD = """\
# {title}

Made from `converge/providers.toml`, by `python -m tools.providers_page docs/providers`. `converge doctor`
prints the same recipe for a server that says of itself that it is one. [Managed servers](../managed.md) has
what holds for all.
"""
_PART = """
## {side}: {name}

{support}

| subject | what to do |
|---|---|
{rows}

- Recognized by what the server says of itself: {signs}.
- Tried: a {kind} that answers so gets this {answer} (`tests/test_managed.py`).
- Not tried: the service itself.
- Facts from {sources}.
"""
_SUPPORT = {"works": "Migrated as any other server.", "limits": "Works with limits: ", "refused": "Refused: "}


def provider_pages() -> dict[str, str]:
    """Each page by its name."""
    return {
        page: _HEAD.format(title=title) + "".join(_part(one) for one in providers() if one.page == page)
        for page, title in pages().items()
    }


def _part(one: Provider) -> str:
    code = {"source": "S031", "target": "T036"}[one.side] if one.support == "refused" else ""
    rows = [f"| {subject} | {text.replace('|', chr(92) + '|')} |" for subject, text in one.recipe.items()]
    return _PART.format(
        side=one.side.capitalize(),
        name=one.name,
        support=_SUPPORT[one.support] + (f"{one.why}." if one.why else "") + (f" (`{code}`)" if code else ""),
        rows="\n".join(rows),
        signs=" and ".join(f"`{sign}`" for sign in one.signs),
        kind="MySQL" if one.side == "source" else "PostgreSQL",
        answer="refusal, and nothing is written" if code else "recipe",
        sources=", ".join(f"<{url}>" for url in one.sources),
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for page, text in provider_pages().items():
        (folder / f"{page}.md").write_text(text, "utf-8")
