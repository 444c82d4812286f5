"""Organisations, people and how they sign in."""

from __future__ import annotations

from collections.abc import Iterator

from converge.demo.insert import Row
from converge.demo.text import HARD
from converge.demo.world import Table, World, edge

AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1.15",
    "Commons/4.2 (Android 14; nl-NL)",
    "",
)

MAIL_HOSTS = ("example.org", "example.net", "mail.example.com")


def organisation(world: World, count: int) -> Iterator[Row]:
    rng, text = world.rng, world.text
    for index in range(count):
        # Numbers have gaps, as after years of deleted rows.
        world.organisations.append((world.organisations[-1] if index else 0) + rng.randint(1, 9))
        yield (
            world.organisations[-1],
            f"org-{index:x}" if index else "Org-0",
            edge(
                index,
                ("NULL", "Straße & Söhne", "O'Neill \\ Partners"),
                f"{text.name()} {rng.choice(('BV', 'e.V.', 'Ltd'))}",
            ),
            rng.choice(("NL", "DE", "FR", "PL", "GR", "IL")),
            edge(index, (None, 1901, 2155), rng.randint(1950, 2024)),
            rng.choice(("free", "team", "enterprise", "non-profit")),
            edge(index, (0, 65535), rng.randint(5, 500)),
            edge(
                index,
                ("-999999999999.99", "999999999999.99", "-0.01"),
                f"{rng.randint(-(10**6), 10**7) / 100:.2f}",
            ),
            rng.getrandbits(1),
            world.document(
                index, {"colours": rng.sample(range(256), 3), "welcome": text.line(), "beta": [None, True]}
            ),
            text.remark(),
            world.moment(),
            world.moment(),
        )


def person(world: World, count: int) -> Iterator[Row]:
    rng, text = world.rng, world.text
    world.people = world.uuids(count)
    for index, key in enumerate(world.people):
        name = text.name()
        yield (
            key,
            f"{'Person' if index % 7 else 'first.last+tag'}.{index}@{rng.choice(MAIL_HOSTS)}",
            edge(index, (None, "", "NULL", "\\N"), world.maybe(0.6, f"+31 6 {rng.randrange(10**8):08d}")),
            edge(index, HARD, name),
            rng.choice(("invited", "active", "active", "active", "locked", "deleted")),
            rng.random() < 0.02,
            rng.randrange(4),
            rng.choice(("", "nl", "en-GB", "de", "pt-BR", "zh-Hant-TW")),
            edge(
                index,
                ("1000-01-01", "9999-12-31", "2000-02-29"),
                world.maybe(0.7, f"{rng.randint(1930, 2010)}-06-{rng.randint(1, 30):02d}"),
            ),
            world.document(
                index,
                {
                    "name": name,
                    "schema": 3,
                    "topics": rng.sample(range(40), 4),
                    "bio": text.line(),
                    "ratio": rng.random(),
                },
            ),
            edge(
                index,
                ("1970-01-01 00:00:01.000", "2038-01-19 03:14:07.000", "2024-03-31 01:30:00.999", None),
                world.maybe(0.8, world.moment("milliseconds")),
            ),
            edge(index, ("1000-01-01 00:00:00.000000", "9999-12-31 23:59:59.999999"), world.moment()),
            world.moment(),
        )


def credential(world: World, count: int) -> Iterator[Row]:
    rng, people = world.rng, world.people
    for index in range(count):
        owner = index % len(people)
        password = index < len(people)  # everybody has one; some have other ways to sign in as well
        secrets = (None, b"", b"\x00", b"\\x00", bytes(range(96)), b"\xff\xfe\r\n\t\\")
        yield (
            3 * index + 1,
            people[owner],
            "password" if password else rng.choice(("oidc", "webauthn", "recovery code")),
            # The column compares by bytes: case and accents make a difference.
            edge(index, ("a", "A", "á", "a\u0301"), f"{index}:{rng.getrandbits(64):016X}"),
            edge(index, secrets, rng.randbytes(60)),
            world.document(index, {"algorithm": "scrypt", "cost": 2**14}) if index % 3 == 0 else None,
            edge(index, (4_294_967_295, 0), rng.randrange(1000)),
            world.moment("milliseconds"),
        )


def login_session(world: World, count: int) -> Iterator[Row]:
    rng = world.rng
    for index in range(count):
        yield (
            # The first ends in zero bytes, which a text conversion would lose.
            b"\x01" + bytes(15) if index == 0 else rng.randbytes(16),
            rng.choice(world.people),
            edge(index, (None, b"", bytes(4), b"\x7f\x00\x00\x01"), rng.randbytes(rng.choice((4, 16)))),
            rng.choice(AGENTS),
            edge(index, (0, 4095, 1, 2048), rng.getrandbits(12)),
            rng.random() < 0.3,
            world.moment("milliseconds"),
            world.maybe(0.9, world.moment("seconds")),
        )


def membership(world: World, count: int) -> Iterator[Row]:
    rng, people, organisations = world.rng, world.people, world.organisations
    permissions = ("read", "write", "invite", "publish", "billing")
    # Pairs are picked without repetition from the grid of all pairs.
    for index, cell in enumerate(rng.sample(range(len(people) * len(organisations)), count)):
        chosen = ",".join(name for name in permissions if rng.random() < 0.5)
        yield (
            organisations[cell // len(people)],
            people[cell % len(people)],
            rng.choice(("owner", "admin", "member", "member", "guest")),
            edge(index, (None, "", ",".join(permissions)), world.maybe(0.6, chosen)),
            edge(index, ("1000-01-01",), world.day().isoformat()),
            world.day().isoformat() if rng.random() < 0.2 else "9999-12-31",
        )


TABLES = (
    Table(
        "organisation",
        "id slug legal_name country founded plan seats credit verified settings about created_at updated_at",
        organisation,
        4,
    ),
    Table(
        "person",
        "id email phone displayName status is_staff notify locale born traits lastSeenAt "
        "created_at updated_at",
        person,
        60,
    ),
    Table("credential", "id person_id kind identifier secret config sign_count created_at", credential, 80),
    Table(
        "login_session",
        "id person_id address user_agent device revoked opened_at expires_at",
        login_session,
        75,
    ),
    Table("membership", "organisation_id person_id role permissions joined_on valid_until", membership, 65),
)
