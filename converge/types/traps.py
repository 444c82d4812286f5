"""What a target type cannot hold, trap by trap, and what a map may say should become of it.

A trap is never sprung in silence: the scan counts its values, and without a policy they stop the run
before anything is written. A policy's expression takes the value's place on the source side of the
copy and of the comparison alike, so what it did is mirrored there and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from converge.codes import Code
from converge.model.plan import Severity


@dataclass(frozen=True, slots=True)
class Kind:
    """A trap as maps and documentation know it."""

    code: Code
    """Of its findings."""
    words: str
    """What such rows do, after "N rows"."""
    policies: Mapping[str, str]
    """What each policy does; ``stop`` is always there."""
    other: str = ""
    """A target type that holds such values, too."""
    harm: Severity = "block"
    """What it is without a policy: ``note`` where the value arrives as it is."""


_NULL = {"null": "NULL"}
_NUL_POLICIES = {**_NULL, "strip": "the text without it", "replace": "the text that is named, for each"}

KINDS: Mapping[str, Kind] = {
    "zero_date": Kind(
        Code.V010,
        "hold a date whose year, month or day is zero",
        {**_NULL, "replace": "the date that is named"},
    ),
    "outside_day": Kind(
        Code.V011, "hold a time before 00:00:00 or after 23:59:59", _NULL, other="interval({fsp})"
    ),
    "not_boolean": Kind(
        Code.V012,
        "hold values other than 0 and 1",
        {**_NULL, "true": "true, as MySQL treats any number but 0"},
        other="smallint",
    ),
    "out_of_range": Kind(Code.V013, "hold numbers that do not fit the target type", _NULL),
    "nul": Kind(
        Code.V014,
        "contain a NUL character, which PostgreSQL's text cannot store",
        _NUL_POLICIES,
        other="bytea",
    ),
    "unmapped": Kind(
        Code.V015,
        "contain characters without a Unicode mapping",
        {**_NULL, "question_mark": "a ? for each, as MySQL itself converts them"},
    ),
    "latin1_utf8": Kind(
        Code.V016,
        "hold UTF-8 bytes in a latin1 column, which read as two or three odd characters each",
        {"repair": "the text that the bytes mean"},
        harm="note",
    ),
    "too_long": Kind(
        Code.V017,
        "are longer than the target type",
        {**_NULL, "cut": "the beginning that fits"},
        other="text",
    ),
    "too_big": Kind(Code.V018, "hold a value that is too big for one field of PostgreSQL (1 GB)", _NULL),
    "not_uuid": Kind(Code.V019, "hold something that is not a UUID", _NULL),
    "swapped_uuid": Kind(
        Code.V020,
        "hold UUIDs without a version where it belongs, perhaps made by UUID_TO_BIN(…, 1)",
        {"swap": "the UUID with its time in the right order again"},
        harm="note",
    ),
    "not_utf8": Kind(Code.V021, "hold bytes that are not UTF-8", _NULL, other="bytea"),
    "empty_label": Kind(
        Code.V022,
        "hold the error value '' (index 0), which is not one of the labels",
        {**_NULL, "keep": "'', as one more label of the target type"},
    ),
    "json_nul": Kind(Code.V023, "contain \\u0000, which jsonb cannot store", _NUL_POLICIES, other="json"),
    "other_shape": Kind(
        Code.V028, "are of a shape or an SRID that the target type does not take", _NULL, other="bytea"
    ),
    "json_size": Kind(Code.V029, "hold JSON that is too big for jsonb (256 MB)", _NULL, other="json"),
    "empty_uuid": Kind(Code.V040, "hold '', which is not a UUID", _NULL),
    "not_canonical": Kind(
        Code.V041, "hold text that the target type would print differently", _NULL, other="text"
    ),
    "not_json": Kind(Code.V042, "hold text that MySQL does not accept as JSON", _NULL, other="text"),
    "trailing_space": Kind(
        Code.V043,
        "end in spaces, which character(n) cannot tell from its padding",
        {**_NULL, "trim": "the text without them"},
        other="text",
    ),
    "no_label": Kind(Code.V044, "hold a text that is not one of the target type's labels", _NULL),
    "inexact": Kind(Code.V045, "hold numbers that the target type would round", _NULL),
    "fraction": Kind(
        Code.V046,
        "have more digits after the decimal point than the target type",
        {**_NULL, "cut": "the value without them"},
    ),
    "time_of_day": Kind(
        Code.V047,
        "hold a time of day, which a date cannot store",
        {**_NULL, "cut": "the day alone"},
        other="timestamp({fsp})",
    ),
    "no_result": Kind(Code.V048, "hold something that the map's expression cannot convert", _NULL),
    "made_null": Kind(Code.V160, "are made NULL by the map's expression", {}, harm="lossy"),
    "cut_value": Kind(
        Code.V162,
        "are changed by the map's expression, which cannot be reversed",
        {},
        harm="lossy",
    ),
    "zero_year": Kind(Code.V024, "hold the year 0000, which stays 0", {}, harm="note"),
}


@dataclass(frozen=True, slots=True)
class Trap:
    """A trap of one column: the condition of its values, and the expressions that policies put there."""

    name: str
    where: str
    """MySQL condition, true for a value that the target type cannot hold."""
    remedies: Mapping[str, str] = field(default_factory=dict)
    """MySQL expression of the value by policy; ``null`` is always there."""
    replace: Callable[[str], str] | None = None
    """MySQL expression of the value for a replacement that the map names; raises ValueError."""
    harm: Severity | None = None
    """Where it differs from its kind's."""
    whole: bool = False
    """`where` only gives the column away: a policy changes all its values."""

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    @property
    def stops(self) -> bool:
        """Whether such values stop the run when no policy is declared."""
        return (self.harm or self.kind.harm) == "block"
