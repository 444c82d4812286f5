"""Values for the demo that break careless converters, and invented prose in several scripts around them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from converge.resources import toml

_TEXTS = toml("converge.demo", "texts")
_WORDS: list[str] = _TEXTS["words"].split()
_LATIN1: list[str] = _TEXTS["latin1"]
_DOCUMENTS: list[str] = _TEXTS["documents"]
HARD: list[str] = _TEXTS["hard"]
"""Strings that a converter must carry unchanged."""
USUAL: dict[str, list[str]] = _TEXTS["usual"]
"""By column what the rows after those of EDGES have."""
NUMBERED: dict[str, str] = _TEXTS["numbered"]
"""Unique texts by column."""
_LARGE = "9999999999.9999"
Value = None | int | float | str | bytes
"""What a row may hold. Dates, times and decimals travel as text; binary as bytes; BIT as an integer."""

EDGES: dict[str, Sequence[Value]] = {
    "organisation.legal_name": ("NULL", "Straße & Söhne", "O'Neill \\ Partners"),
    "organisation.founded": (None, 1901, 2155),
    "organisation.seats": (0, 65535),
    "organisation.credit": ("-999999999999.99", "999999999999.99", "-0.01"),
    "organisation.settings": _DOCUMENTS,
    "person.phone": (None, "", "NULL", "\\N"),
    "person.displayName": HARD,
    "person.notify": (0, 1, 2, 3),
    "person.born": ("1000-01-01", "9999-12-31", "2000-02-29"),
    "person.traits": _DOCUMENTS,
    "person.lastSeenAt": (
        "1970-01-01 00:00:01.000", "2038-01-19 03:14:07.000", "2024-03-31 01:30:00.999", None,
    ),
    "person.created_at": ("1000-01-01 00:00:00.000000", "9999-12-31 23:59:59.999999"),
    # The column compares by bytes: case and accents make a difference.
    "credential.identifier": ("a", "A", "á", "a\u0301"),
    "credential.secret": (None, b"", b"\x00", b"\\x00", bytes(range(96)), b"\xff\xfe\r\n\t\\"),
    "credential.config": _DOCUMENTS,
    "credential.sign_count": (4_294_967_295, 0),
    # The first ends in zero bytes, which a text conversion would lose.
    "login_session.id": (b"\x01" + bytes(15),),
    "login_session.address": (None, b"", bytes(4), b"\x7f\x00\x00\x01"),
    "login_session.device": (0, 4095, 1, 2048),
    "membership.permissions": (None, "", "read,write,invite,publish,billing"),
    "membership.joined_on": ("1000-01-01",),
    "membership.valid_until": ("9999-12-31",),
    "space.position": (-2_147_483_648, 2_147_483_647),
    "space.title": HARD,
    "space.theme": _DOCUMENTS,
    "space.opens": ("00:00:00", "23:59:59", None),
    "space.closes": ("24:00:00", "23:59:59", None),
    "article.tags": (None, "", "draft,pinned,archived,featured,legal,translation"),
    "article.title": HARD,
    # Long texts of all hard strings, then one that no index entry and no TOAST page holds.
    "article.body": ("", "\n".join(HARD), "\r\n".join(HARD * 3), "𝄞\t" * 50_000),
    "article.layout": _DOCUMENTS,
    # Numbers whose shortest text differs between the servers, or that lose bits on the way through text.
    "article.reading_time": (16777216.0, 0.1, 3.4e38, 1.17549435e-38, None),
    "article.score": (
        1e23, 9.999999999999999e22, 0.1 + 0.2, -0.0, 1.7976931348623157e308, 2.2250738585072014e-308,
    ),
    "article.fingerprint": (None, 0, 2**63 - 1, 2**63, 2**64 - 1),
    "article_revision.change_note": (*HARD, None),
    "comment.body": HARD,
    "attachment.file_name": HARD,
    "attachment.size": (0, 2**64 - 1),
    "attachment.sha256": (bytes(32), b"\xff" * 32),
    "attachment.header": (b"", b"\\N", b"\\x41"),
    "attachment.thumbnail": (None, b"", bytes(range(256)) * 40, b"\n\r\t\\\0"),
    "invoice.due_on": (None, "9999-12-31"),
    "invoice.net": ("-" + _LARGE, _LARGE, "0.0000"),
    "invoice.tax": ("0.0000", _LARGE),
    "invoice.rate": ("0.000000000000000001", "99999999999999999999.999999999999999999", "1.0955", "1"),
    "booking.season": (1901, 2155),
    "booking.first_day": ("1000-01-01",),
    "booking.last_day": ("9999-12-31",),
    "booking.begins": ("00:00:00.000", "23:59:59.999"),
    "booking.reminder": ("-838:59:59", "-00:00:01", None, "00:00:00"),
    "booking.effort": ("838:59:59", "24:00:00", None),
    "booking.people": (0, 255),
    "booking.order": (-128, 127),
    "metric_sample.value": (None, -0.0, 5e-300, 1e23),
    "metric_sample.flags": (None, 0, 255),
    "legacy_contact.name": _LATIN1,
    "legacy_contact.street": (None, ""),
    "legacy_contact.remark": _LATIN1,
    "legacy_contact.imported_from": ("", "contacts-2009.csv"),
    "audit_log.subject_id": (None, "", "NULL"),
    "audit_log.milliseconds": (0, 16_777_215, None),
    "audit_log.detail": (*_DOCUMENTS, None),
}  # fmt: skip
"""By column the values of its first rows, so that even a small database has all of them."""


class Writer:
    """Draws prose from a fixed stock that a seeded generator made, so that a paragraph costs one choice."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._sentences = [self._sentence() for _ in range(600)]
        self._paragraphs = [self._paragraph() for _ in range(300)]

    def _sentence(self) -> str:
        if self._rng.random() < 0.15:
            return str(self._rng.choice(_TEXTS["foreign"]))
        words = " ".join(self._rng.choices(_WORDS, k=self._rng.randint(4, 16)))
        return words.capitalize() + self._rng.choice((".", ".", ".", "?", "!", " 🌱", " 🎉"))

    def _paragraph(self) -> str:
        lines = self._rng.choices(self._sentences, k=self._rng.randint(3, 8))
        # As prose, as a list, as browsers send a text area, as a table, as code.
        return self._rng.choices((" ", "\n- ", "\r\n", "\t\n1\t", "\n\tC:\\"), (16, 2, 1, 1, 1))[0].join(
            lines
        )

    def line(self, length: int) -> str:
        """One sentence, or as much of it as fits."""
        return self._rng.choice(self._sentences)[:length]

    def body(self) -> str:
        """Paragraphs, separated by empty lines; a paragraph is about 500 bytes."""
        return "\n\n".join(self._rng.choices(self._paragraphs, k=self._rng.randint(1, 9)))
