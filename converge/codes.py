"""The codes of findings and errors; `codes.toml` says what each of them means."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from converge.resources import toml

if TYPE_CHECKING:
    # Type checkers know what a call of this class makes, and not what one of a class derived from it does.
    from enum import StrEnum as _Names
else:

    class _Names(enum.StrEnum):
        """An enumeration whose values are its names."""

        @staticmethod
        def _generate_next_value_(name: str, *_: object) -> str:
            return name

        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
            """For documents: a code of a newer version stays a text."""
            from pydantic_core import core_schema

            return core_schema.no_info_after_validator_function(
                lambda code: cls.__members__.get(code, code), core_schema.str_schema()
            )


# A code for each kind of finding and error: it never changes its meaning and is never used again.
Code = _Names(
    "Code",
    """
    A001 A002 A003 A004 A005 A006 A007 A008 A009 A010 A011 A012 A013 A014 A015 A016 A017 A050 A051
    A052 A053 A054 A055 A056 A057 A058 A059 A060 A061 A062 A063 A064
    B001 B002 B003 B004 B005 B006 B007 B008 B009
    C001 C002 C010 C011
    D001 D002 D003
    E000
    F001 F002 F003 F004 F005 F006 F007 F008 F009 F010 F011 F012 F013 F014 F015 F016
    L001 L002 L003 L004 L005 L006 L007 L008 L009 L010 L011 L012 L013 L014 L015 L016 L017 L018 L019
    L020 L021 L022 L023 L024 L025 L026 L027 L028 L029 L030 L031 L032 L033 L034 L035 L036 L037
    L050 L051 L052 L053 L140 L150 L160
    M001 M002 M003 M004 M005 M006 M007 M180 M181
    P000 P001 P003 P004 P005 P006 P007 P010 P011 P012 P020 P021 P022 P023 P024 P025 P026 P027 P028
    P029 P030 P031 P032 P033 P035 P037 P038 P039 P040 P041 P043 P044 P047 P050 P051 P052 P053
    P054 P060 P061 P062 P070 P071 P072 P080 P081 P082 P083 P084 P140 P141 P150 P151 P152 P153 P154 P155
    P156 P157 P158 P159 P160 P161 P162 P163 P168 P169 P170 P171
    R001 R002 R003 R004 R005 R006 R007 R009 R130
    S000 S001 S002 S003 S004 S005 S006 S007 S008 S011 S012 S020 S021 S022 S023 S024 S025 S026 S027
    S028 S029 S030 S031 S032 S033 S034 S180
    T000 T001 T002 T003 T004 T005 T006 T007 T008 T009 T010 T011 T012 T013 T014 T015 T016 T017 T018
    T019 T020 T021 T022 T023 T024 T025 T026 T027 T028 T029 T030 T031 T032 T033 T034 T035 T036 T040 T041 T042
    T043 T044 T045 T046 T047 T170 T180
    U000 U001 U002 U003 U004 U005 U006 U007 U008 U009 U010 U011 U012 U013 U014 U015 U016 U017 U018 U019 U020
    U030 U031 U032 U033 U034 U035 U036 U038 U039 U110 U111 U112 U113 U114 U180 U181 U182 U183
    V001 V002 V003 V004 V005 V010 V011 V012 V013 V014 V015 V016 V017 V018 V019 V020 V021 V022 V023 V024
    V025 V026 V027 V028 V029 V030 V031 V032 V033 V034 V035 V036 V040 V041 V042 V043 V044 V045 V046 V047
    V048 V049 V100 V110 V111 V112 V113 V114 V115 V116 V117 V118 V119 V120 V121 V122 V123 V124 V125 V126
    V130 V131 V132 V133 V134 V135 V136
    V160 V161 V162 V170 V175 V176
    W001 W002 W003 W004 W005 W006 W007 W008 W009 W010 W011 W012 W013 W014 W015
    X001 X002 X003 X004 X006 X007 X008 X009 X010 X011 X020 X021 X022 X023 X024 X026 X027 X028
    X029 X030
    """,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a code means to a user."""

    severity: tuple[str, ...]
    """``block``, ``lossy``, ``absent`` (not migrated), ``note``, ``exit N`` (an error); some have several."""
    title: str
    explanation: str
    fix: str = ""
    """What to do; empty where there is nothing to do."""
    page: str = "codes.md"
    """The page of `docs/` that says more."""


def explained(code: Code) -> Entry:
    """What the code means."""
    return registry()[code]


@cache
def registry() -> Mapping[Code, Entry]:
    """The entry of each code, in their order."""
    entries = toml("converge", "codes").items()
    return {Code(code): Entry(**entry | {"severity": tuple(entry["severity"])}) for code, entry in entries}
