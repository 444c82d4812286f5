"""The judge of the tests: compares MySQL with PostgreSQL row by row, and shares no code with `converge`."""

from .errors import JudgeError
from .report import Difference, Missing, Report, TableResult
from .run import compare

__all__ = ["Difference", "JudgeError", "Missing", "Report", "TableResult", "compare"]
