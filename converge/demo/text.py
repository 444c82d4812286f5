"""Text for the demo source: invented prose in several scripts, with what breaks careless converters.

Nothing here is taken from a corpus: sentences are drawn word by word from the short lists below.
"""

from __future__ import annotations

from random import Random

# ruff: noqa: RUF001, SIM905 (other scripts are the point here, and word lists read better as text)

WORDS = (
    "the a our this each another community workshop garden budget river library proposal neighbour meeting "
    "update station kitchen question answer harbour archive picture schedule volunteer report winter summer "
    "bridge market school team plan draft result lesson letter evening morning project and or with without "
    "about before after between needs opens closes moves shares repairs writes reads invites collects brings"
).split()

FOREIGN = (
    "Straße und Brücke — „Größe“ zählt.",
    "Le cœur du projet, c’est l’été à Besançon…",
    "Zażółć gęślą jaźń, a potem odpocznij.",
    "Встреча перенесена на четверг, приносите чай.",
    "Η συνάντηση αρχίζει στις εννέα.",
    "会議は来週の火曜日に行います。",
    "社区花园需要更多的志愿者。",
    "다음 모임은 도서관에서 열립니다.",
    "नई बैठक अगले सप्ताह होगी।",
    "الاجتماع القادم يوم الثلاثاء في المكتبة.",
    "הפגישה הבאה בספרייה, בשעה 18:30.",
    "Cuộc họp tiếp theo ở thư viện.",
)

#: Strings that a converter must carry unchanged: COPY's own escapes, line ends, planes and directions.
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
    "\\u0000 is six characters, &amp; is five, %s and $1 and :name are no parameters",
    "\U0001d4d0\U0001d4d1 \U00020000 \U0010fffd outside the basic plane",
)

#: The same for a latin1 column. MySQL's latin1 is cp1252: the euro sign and curly quotes fit.
HARD_LATIN1 = (
    "Müller & Söhne, Königstraße 5",
    "Señora Núñez – “la niña” €12,50",
    "Ærø\tØster Å\\vej",
    "first line\r\nsecond line",
    "",
    "ÿ þ ¿ ™ œ Ž",
)

FIRST_NAMES = (
    "Anna Bram Chloé Daan Elif Farid Grietje Hòa Ingrid João Kofi Ləman Małgorzata Noor Øystein Priya Quinn "
    "Rēzija Søren Tomáš Uğur Valérie Wim Ximena Yūko Zoë محمد נעמה 美玲 Дарья"
).split()

LAST_NAMES = (
    "Okafor|de Vries|van der Meer|O'Brien|Müller|García|Nguye\u0302\u0303n|Kowalska|Ødegård|Şahin|"
    "Papadopoulos|Иванова|田中|김|Haddad|Smith-Jones|D’Angelo|Ķīmene|Silva e Souza|Ng"
).split("|")


class Writer:
    """Draws prose from a fixed stock that a seeded generator made, so that a paragraph costs one choice."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._sentences = [self._sentence() for _ in range(600)]
        self._paragraphs = [self._paragraph() for _ in range(300)]

    def _sentence(self) -> str:
        rng = self._rng
        if rng.random() < 0.15:
            return rng.choice(FOREIGN)
        words = " ".join(rng.choices(WORDS, k=rng.randint(4, 16)))
        return words.capitalize() + rng.choice((".", ".", ".", "?", "!", " 🌱", " 🎉"))

    def _paragraph(self) -> str:
        rng = self._rng
        kind = rng.random()
        lines = rng.choices(self._sentences, k=rng.randint(3, 8))
        if kind < 0.06:
            return "```\n" + "\n".join(f"\t$ cat C:\\{line[:12]}\\n" for line in lines) + "\n```"
        if kind < 0.14:
            return "\n".join(f"- {line}" for line in lines)
        if kind < 0.20:
            return "\r\n".join(lines)  # as browsers send a text area
        if kind < 0.24:
            return "\n".join(f"{number}\t{line}\t" for number, line in enumerate(lines))
        if kind < 0.28:
            return rng.choice(HARD) + " " + lines[0]
        return " ".join(lines)

    def title(self) -> str:
        """A heading of at most 120 characters."""
        return self._rng.choice(self._sentences)[:120].rstrip(".")

    def line(self) -> str:
        """One sentence."""
        return self._rng.choice(self._sentences)

    def body(self, least: int, most: int) -> str:
        """Paragraphs, separated by empty lines; a paragraph is about 500 bytes."""
        return "\n\n".join(self._rng.choices(self._paragraphs, k=self._rng.randint(least, most)))

    def name(self) -> str:
        """A person's name."""
        return f"{self._rng.choice(FIRST_NAMES)} {self._rng.choice(LAST_NAMES)}"

    def remark(self) -> str | None:
        """Short text as people leave it in forms: missing, empty, hard or plain."""
        kind = self._rng.random()
        if kind < 0.25:
            return None
        if kind < 0.35:
            return ""
        return self._rng.choice(HARD if kind < 0.45 else self._sentences)
