"""Values for the demo that break careless converters, and invented prose in several scripts around them.

Nothing here is taken from a corpus: sentences are drawn word by word from the short lists below.
"""

from __future__ import annotations

import json
from random import Random

# ruff: noqa: RUF001, SIM905 (other scripts are the point here, and word lists read better as text)

_WORDS = (
    "the a our this each another community workshop garden budget river library proposal neighbour meeting "
    "update station kitchen question answer harbour archive picture schedule volunteer report winter summer "
    "bridge market school team plan draft result lesson letter evening morning project and or with without"
).split()

_FOREIGN = (
    "Straße und Brücke — „Größe“ zählt.",
    "Le cœur du projet, c’est l’été à Besançon…",
    "Zażółć gęślą jaźń, a potem odpocznij.",
    "Встреча перенесена на четверг, приносите чай.",
    "Η συνάντηση αρχίζει στις εννέα.",
    "会議は来週の火曜日に行います。",
    "다음 모임은 도서관에서 열립니다.",
    "नई बैठक अगले सप्ताह होगी।",
    "الاجتماع القادم يوم الثلاثاء في المكتبة.",
    "הפגישה הבאה בספרייה, בשעה 18:30.",
    "Cuộc họp tiếp theo ở thư viện.",
)

HARD = (
    "",
    " ",
    "trailing spaces   ",
    "NULL",
    "\\N",
    "\\.",
    "\\",
    "a\\tb is not a\ttab",
    "unix\nwindows\r\nold mac\rend",
    "C:\\new\\table\\readme.txt",
    'it\'s 100 % "quoted", {braced}, (and; delimited)',
    "e\u0301 is not é, and A\u030a is not Å nor \u212b",
    "family \U0001f468\u200d\U0001f469\u200d\U0001f466, flag \U0001f1f3\U0001f1f1, \U0001f44d\U0001f3fd",
    "\u202eright to left override\u202c and \u2067isolated שלום\u2069",
    "non\u00a0breaking, zero\u200bwidth, soft\u00adhyphen, bom \ufeff inside",
    "line\u2028and paragraph\u2029separators, next line \u0085",
    "bell \x07, escape \x1b[1m, delete \x7f, substitute \x1a, vertical \x0b, form \x0c",
    "\\u0000 is six characters, &amp; is five, %s and $1 and :name are not parameters",
    "\U0001d4d0\U0001d4d1 \U00020000 \U0010fffd outside the basic plane",
)
"""Strings that a converter must carry unchanged: COPY's own escapes, line ends, planes and directions."""

_LATIN1 = (
    "Müller & Söhne, Königstraße 5",
    "Señora Núñez – “la niña” €12,50",
    "Ærø\tØster Å\\vej",
    "first line\r\nsecond line",
    "",
    "ÿ þ ¿ ™ œ Ž",
)
"""The same for a latin1 column. MySQL's latin1 is cp1252: the euro sign and curly quotes fit."""

_DOCUMENTS = (
    "{}",
    "[]",
    "null",
    '""',
    "true",
    "0.1",
    '{"large": 18446744073709551615, "small": -9223372036854775808, "huge": 1e300, "tiny": 1e-300}',
    json.dumps({"text": HARD}, ensure_ascii=False),
    json.dumps({"escaped": "\\u0000 stays six characters", "": "empty key", 'a "quoted" key': None}),
    json.dumps({"deep": {"deeper": [{"deepest": [[], {}, None, False, 12.5]}]}}),
    '{"z": 1, "a": 2, "a much longer key": 3, "é": 4, "e\u0301": 5}',
)
"""JSON that is easily damaged: the null of JSON, numbers beyond 64 bits of float, keys in need of quoting."""

_LARGE = "9999999999.9999"
Value = None | int | float | str | bytes
"""What a row may hold. Dates, times and decimals travel as text; binary as bytes; BIT as an integer."""

EDGES: dict[str, tuple[Value, ...]] = {
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

USUAL: dict[str, tuple[Value, ...]] = {
    "organisation.country": ("NL", "DE", "FR", "PL", "GR", "IL"),
    "person.phone": ("+31 6 12345678", "+49 30 1234567", None),
    "person.displayName": ("Anna de Vries", "João O'Brien", "Małgorzata Müller", "محمد Haddad", "美玲 田中"),
    "person.locale": ("", "nl", "en-GB", "de", "pt-BR", "zh-Hant-TW"),
    "login_session.user_agent": ("Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0", "Commons/4.2 (nl-NL)", ""),
    "attachment.media_type": ("image/jpeg", "image/png", "application/pdf"),
    "invoice.currency": ("EUR", "EUR", "USD", "JPY"),
    "invoice.rate": ("1",),
    "metric_sample.name": ("requests", "latency p99", "queue\tdepth", "disk C:\\ free"),
    "legacy_contact.name": ("Jörg Peña", "Désirée Weiß", "Íñigo Sjöberg", "Åse Garção", "Zoë Boëtius"),
    "legacy_contact.street": ("Allée des Tilleuls 7", "Königstraße 12"),
    "legacy_contact.remark": ("Ruft zurück: „später“, 12 €", None),
    "audit_log.subject": ("article", "space", "person"),
}
"""By column what the rows after those have, where the type alone would not make it look like anything."""

NUMBERED = {
    "organisation.slug": "org-{:x}",
    "person.email": "Person.{}@example.org",
    "credential.identifier": "{:x}:key",
    "invoice.reference": "2024/{:06d}",
}
"""Unique texts."""


class Writer:
    """Draws prose from a fixed stock that a seeded generator made, so that a paragraph costs one choice."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._sentences = [self._sentence() for _ in range(600)]
        self._paragraphs = [self._paragraph() for _ in range(300)]

    def _sentence(self) -> str:
        if self._rng.random() < 0.15:
            return self._rng.choice(_FOREIGN)
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
