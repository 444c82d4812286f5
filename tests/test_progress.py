"""The bars of a run on a terminal: whole lines, honest rates, and full at the end."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
import tqdm

from converge.model.event import (
    Advanced,
    CopyStarted,
    PhaseEnded,
    PhaseStarted,
    Progress,
    TableCopied,
    TableSize,
)
from converge.report import progress


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What tqdm draws, without its pauses."""
    drawn = io.StringIO()
    real = tqdm.tqdm

    def bar(*arguments: Any, **how: Any) -> Any:
        return real(*arguments, file=drawn, mininterval=0, ncols=100, **how)  # type: ignore[call-overload]

    monkeypatch.setattr(progress, "tqdm", bar)
    monkeypatch.setattr(bar, "write", lambda text, **_: drawn.write(f"\n{text}\n"), raising=False)
    return drawn


def test_a_run_that_is_resumed_after_its_copy_has_no_bar_of_a_table_and_no_rate(screen: io.StringIO) -> None:
    with progress.Bars() as bars:
        bars(PhaseStarted("copy"))
        bars(CopyStarted((TableSize("film", 9_000_000_000, 1000, 9_000_000_000), TableSize("a\tb", 0))))
        bars(PhaseEnded("copy", 0.01))
    text = screen.getvalue()
    assert "film" not in text and "GB/s" not in text
    last = [line for line in re.split(r"[\r\n]", text) if line.startswith("copy:") and "%" in line][-1]
    assert "100%" in last and "1,000 rows" in last


def test_bars_end_at_100_percent(screen: io.StringIO) -> None:
    with progress.Bars() as bars:
        bars(CopyStarted((TableSize("film", 100), TableSize("actor", 50, 5, 10))))
        bars(Progress("film", 3, 180))
        bars(TableCopied("film"))
        bars(Progress("actor", 3, 10))
        bars(TableCopied("actor"))
        bars(PhaseEnded("copy", 1.0))
        # One statement of the index phase ended before its bar began.
        bars(PhaseStarted("index", 3))
        bars(Advanced("index", "film"))
        bars(Advanced("index", "actor"))
        bars(PhaseEnded("index", 1.0))
    lines = re.split(r"[\r\n]", screen.getvalue())
    for name in ("copy", "index"):
        last = [line for line in lines if line.startswith(f"{name}:") and "%" in line][-1]
        assert "100%" in last, last
    assert "3/3" in [line for line in lines if line.startswith("index:") and "/" in line][-1]
    assert "200B/200B" in [line for line in lines if line.startswith("copy:") and "/" in line][-1]


def test_a_phase_that_fails_is_not_drawn_as_done(screen: io.StringIO) -> None:
    with pytest.raises(ValueError), progress.Bars() as bars:
        bars(PhaseStarted("index", 3))
        bars(Advanced("index", "film"))
        raise ValueError
    assert "100%" not in screen.getvalue()


def test_a_signal_as_a_bar_begins_leaves_no_line_of_it(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def interrupted(bar: object) -> None:
        begun.append(bar)
        raise KeyboardInterrupt

    bars = progress.Bars()
    monkeypatch.setattr(bars, "enter_context", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bars(PhaseStarted("index", 3))
    assert begun and screen.getvalue() == ""


def test_bars_leave_room_for_what_a_terminal_prints_of_ctrl_c(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a full line ^C begins another one, and the error began in the rest of a bar."""
    monkeypatch.setattr(tqdm.std, "_screen_shape_wrapper", lambda: lambda _: (80, 24))
    with progress.Bars() as bars:
        bars(CopyStarted((TableSize("film", 9_000_000), TableSize("actor", 50))))
        bars(Progress("film", 3, 180))
    assert max(map(len, re.split(r"[\r\n]|\x1b\[A", screen.getvalue()))) == 78
