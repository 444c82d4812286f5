"""The difference between two schemas, as statements and as a report."""

from converge.planner.difference.compare import compared, difference

__all__ = ["compared", "difference"]
