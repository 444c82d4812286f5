"""Shows that time grows as the rows do, and memory does not: a table, and a plot for docs/performance.md.

    python -m bench.growth                             # 0.2 to 5.8 M rows: five minutes
    python -m bench.growth --scales 0.25 0.8 2.5 7.8   # 1 M to 30 M rows; needs 30 GB of disk

The narrow and the mixed rows of the benchmark, migrated with the full proof; one migration of each scale.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from pathlib import Path

from bench import data
from bench.command import run, say
from bench.servers import MIGRATE, Cost, started
from bench.tables import EVENTS, SALARIES

PANEL, WIDTH, HEIGHT, LEFT, TOP = 480, 360, 280, 60, 40
COLORS = ("#b3541e", "#1f5fa8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.growth", description="Plots time and memory against rows.")
    parser.add_argument("--scales", type=float, nargs="+", default=[0.05, 0.15, 0.5, 1.5])
    parser.add_argument("--jobs", type=int, default=2, help="converge's --jobs (default 2)")
    parser.add_argument("--output", type=Path, default=Path("docs/growth.svg"))
    options = parser.parse_args()
    measured: list[tuple[int, Cost]] = []
    with started() as servers:
        for scale in options.scales:
            source = servers.mysql.create_database("bench")
            rows = data.create(source, servers.files, scale=scale, tables=(SALARIES, EVENTS))
            measured.append((rows, servers.migrate(MIGRATE + "full", source, jobs=options.jobs)))
            say(f"{rows:,} rows: {measured[-1][1].wall:.2f} s")
            servers.mysql.drop_database("bench")
    print(f"{'rows':>12}{'wall s':>9}{'µs a row':>10}{'client':>8}{'MySQL':>8}{'PostgreSQL':>12}", end="")
    print("  peak MB: coordinator, largest other process")
    for rows, cost in measured:
        own, others = _memory(cost)
        sides = f"{cost.client:>8.2f}{cost.mysql:>8.2f}{cost.postgres:>12.2f}"
        print(f"{rows:>12,}{cost.wall:>9.2f}{cost.wall / rows * 1e6:>10.2f}{sides}  {own:.0f}, {others:.0f}")
    options.output.write_text(plot(measured), encoding="utf-8")
    return 0


def _memory(cost: Cost) -> tuple[float, float]:
    return cost.peaks[0] / 1e6, max(cost.peaks[1:], default=0) / 1e6


def plot(measured: Sequence[tuple[int, Cost]]) -> str:
    """SVG: seconds against rows, both logarithmic, beside a line of slope 1; and memory against rows."""
    rows = [float(number) for number, _ in measured]
    seconds = [cost.wall for _, cost in measured]
    # Through the last point, where the seconds that every run takes count least.
    straight = [seconds[-1] * number / rows[-1] for number in rows]
    own, others = zip(*(_memory(cost) for _, cost in measured), strict=True)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * PANEL} {HEIGHT + 110}" '
            'font-family="sans-serif" font-size="13" fill="#222">',
            '<rect width="100%" height="100%" fill="white"/>',
            *_panel(0, "seconds of a migration with proof", rows, _decades([*seconds, *straight]),
                    {"slope 1: seconds grow as rows": straight, "measured": seconds}),
            *_panel(PANEL, "peak memory in MB", rows, Axis(0, 50 * ceil(max(own + others) / 50), 50),
                    {"coordinator": own, "largest other process": others}),
            "</svg>\n",
        ]
    )  # fmt: skip


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`, by a step; or by powers of ten, which both then are."""

    low: float
    high: float
    step: float = 0.0

    def share(self, value: float) -> float:
        """Where the value is between both ends."""
        return ((value if self.step else log10(value)) - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        numbers = range(int(self.low // (self.step or 1)), int(self.high // (self.step or 1)) + 1)
        return [number * self.step if self.step else 10.0**number for number in numbers]


def _decades(values: Sequence[float]) -> Axis:
    return Axis(floor(log10(min(values))), ceil(log10(max(values))))


def _panel(
    left: int, title: str, rows: Sequence[float], up: Axis, series: Mapping[str, Sequence[float]]
) -> Iterator[str]:
    across = _decades(rows)

    def x(value: float) -> float:
        return left + LEFT + across.share(value) * WIDTH

    def y(value: float) -> float:
        return TOP + (1 - up.share(value)) * HEIGHT

    yield f'<text x="{left + LEFT}" y="{TOP - 16}" font-weight="bold">{title}</text>'
    for tick in across.ticks():
        yield f'<path d="M{x(tick):.1f} {TOP}v{HEIGHT}" stroke="#ddd"/>'
        below = f'x="{x(tick):.1f}" y="{TOP + HEIGHT + 20}" text-anchor="middle"'
        yield f"<text {below}>{tick / 1e6:g} M rows</text>"
    for tick in up.ticks():
        yield f'<path d="M{left + LEFT} {y(tick):.1f}h{WIDTH}" stroke="#ddd"/>'
        yield f'<text x="{left + LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
    for number, (name, values) in enumerate(series.items()):
        points = [f"{x(row):.1f},{y(value):.1f}" for row, value in zip(rows, values, strict=True)]
        color = COLORS[number]
        yield f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}" stroke-width="2"/>'
        yield from (
            f'<circle cx="{one.split(",")[0]}" cy="{one.split(",")[1]}" r="4" fill="{color}"/>'
            for one in points
        )
        legend = TOP + HEIGHT + 40 + 18 * number
        yield f'<path d="M{left + LEFT} {legend}h24" stroke="{color}" stroke-width="3"/>'
        yield f'<text x="{left + LEFT + 32}" y="{legend + 5}">{name}</text>'


if __name__ == "__main__":
    run(main)
