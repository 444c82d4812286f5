"""The tree of spaces, what people write in it, and what others answer."""

from __future__ import annotations

from collections.abc import Iterator

from converge.demo.insert import Row
from converge.demo.text import HARD
from converge.demo.world import Table, World, edge

TAGS = ("draft", "pinned", "archived", "featured", "legal", "translation")
FEATURES = ("calendar", "polls", "files", "chat", "wiki")
KINDS = ("note", "how-to", "question", "poll", "what's new, in short")
SYMBOLS = ("👍", "👎", "❤️", "❤", "🎉", "👩🏽‍🚀", "+1", "\u00e9", "e\u0301", "E")

#: Numbers whose shortest text differs between the servers, or that lose bits on the way through text.
HARD_DOUBLES = (1e23, 9.999999999999999e22, 0.1 + 0.2, -0.0, 1.7976931348623157e308, 2.2250738585072014e-308)
HARD_FLOATS = (16777216.0, 0.1, 3.4e38, 1.17549435e-38, None)


def space(world: World, count: int) -> Iterator[Row]:
    rng, spaces = world.rng, world.spaces
    owners: list[int] = []
    for index in range(count):
        # A child belongs to the organisation of its parent; a tenth are roots, the first is always one.
        parent = rng.randrange(index) if index and rng.random() > 0.1 else None
        owners.append(rng.choice(world.organisations) if parent is None else owners[parent])
        above = None if parent is None else spaces[parent]
        spaces.append(world.uuid())
        place = rng.random() < 0.5
        yield (
            spaces[-1],
            owners[-1],
            above,
            edge(index, (-2_147_483_648, 2_147_483_647), rng.randint(-3, 60)),
            edge(index, HARD, world.text.title()),
            rng.choice(("public", "members", "hidden")),
            ",".join(name for name in FEATURES if rng.random() < 0.4),
            world.maybe(
                0.7, world.document(index, {"accent": f"#{rng.getrandbits(24):06x}", "radius": rng.random()})
            ),
            edge(index, ("00:00:00", "23:59:59", None), f"{rng.randint(6, 10):02d}:30:00"),
            edge(index, ("24:00:00", "23:59:59", None), f"{rng.randint(16, 23):02d}:00:00"),
            rng.uniform(-90, 90) if place else None,
            rng.uniform(-180, 180) if place else None,
            world.moment(),
            world.moment(),
        )


def article(world: World, count: int) -> Iterator[Row]:
    rng, text = world.rng, world.text
    world.articles = world.uuids(count)
    for index, key in enumerate(world.articles):
        body = text.body(1, 9)
        blocks = [
            {"id": rng.getrandbits(40), "type": "text", "span": [rng.randrange(12), 12], "text": text.line()}
            for _ in range(rng.randint(1, 8))
        ]
        yield (
            key,
            2 * index + 1,
            rng.choice(world.spaces),
            world.maybe(0.95, rng.choice(world.people)),
            rng.choice(KINDS),
            edge(index, (None, "", ",".join(TAGS)), ",".join(tag for tag in TAGS if rng.random() < 0.3)),
            edge(index, HARD, text.title()),
            text.remark(),
            # Long texts of all hard strings, then a few that no index entry and no TOAST page holds.
            edge(index, ("", "\n".join(HARD), "\r\n".join(HARD * 3), "𝄞\t" * 50_000), body),
            world.document(index, {"version": 2, "blocks": blocks}),
            edge(index, HARD_FLOATS, len(body) / 1000),
            edge(index, HARD_DOUBLES, rng.gauss(0, 10)),
            edge(index, (None, 0, 2**63 - 1, 2**63, 2**64 - 1), rng.getrandbits(64)),
            world.maybe(0.9, world.moment()),
            world.moment(),
            world.moment(),
        )


def article_revision(world: World, count: int) -> Iterator[Row]:
    for index in range(count):
        yield (
            world.articles[index // 2],
            index % 2 + 1,
            world.maybe(0.9, world.rng.choice(world.people)),
            edge(index, (*HARD, None), world.text.remark()),
            world.text.body(1, 8),
            world.moment("milliseconds"),
        )


def comment(world: World, count: int) -> Iterator[Row]:
    rng = world.rng
    counted: dict[str, int] = {}
    for index, on in enumerate(sorted(rng.choices(world.articles, k=count))):
        number = counted[on] = counted.get(on, 0) + 1
        world.comments.append((on, number))
        yield (
            on,
            number,
            rng.randint(1, number - 1) if number > 1 and rng.random() < 0.6 else None,
            world.maybe(0.97, rng.choice(world.people)),
            edge(index, HARD, world.text.line() if rng.random() < 0.6 else world.text.body(1, 2)),
            world.maybe(0.1, world.moment("seconds")),
            world.moment(),
        )


def reaction(world: World, count: int) -> Iterator[Row]:
    rng = world.rng
    # Symbols that only bytes tell apart, by one person on one comment: no collation may merge them.
    seen = dict.fromkeys((*world.comments[0], world.people[0], symbol) for symbol in SYMBOLS)
    while len(seen) < count:
        seen[(*rng.choice(world.comments), rng.choice(world.people), rng.choice(SYMBOLS))] = None
    for key in sorted(seen):
        yield (*key, world.moment("seconds"))


def attachment(world: World, count: int) -> Iterator[Row]:
    rng = world.rng
    for index in range(count):
        thumbnail = rng.randbytes(rng.randint(1000, 7000))
        yield (
            rng.randbytes(16),
            rng.choice(world.articles),
            edge(index, HARD, f"photo {rng.randrange(10**6)}.jpeg"),
            rng.choice(("image/jpeg", "image/png", "application/pdf")),
            edge(index, (0, 2**64 - 1), rng.randrange(1, 10**9)),
            edge(index, (bytes(32), b"\xff" * 32), rng.randbytes(32)),
            edge(
                index,
                (b"", b"\\N", b"\\x41"),
                rng.choice((b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", b"\x89PNG\r\n\x1a\n")),
            ),
            edge(index, (None, b"", bytes(range(256)) * 40, b"\n\r\t\\\0"), world.maybe(0.9, thumbnail)),
            world.maybe(0.5, world.moment("seconds")),
        )


TABLES = (
    Table(
        "space",
        "id organisation_id parent_id position title visibility features theme opens closes latitude "
        "longitude created_at updated_at",
        space,
        10,
    ),
    Table(
        "article",
        "id number space_id author_id kind tags title summary body layout reading_time score fingerprint "
        "published_at created_at updated_at",
        article,
        80,
    ),
    Table(
        "article_revision", "article_id revision editor_id change_note body saved_at", article_revision, 55
    ),
    Table("comment", "article_id number reply_to author_id body edited_at created_at", comment, 140),
    Table("reaction", "article_id comment_number person_id symbol created_at", reaction, 130),
    Table(
        "attachment",
        "id article_id file_name media_type size sha256 header thumbnail taken_at",
        attachment,
        30,
    ),
)
