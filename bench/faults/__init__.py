"""The long form of the fault tests: every fault with many seeds, and a thousand random kills."""

import sys
from pathlib import Path

# The injectors, the proxy and the judge live with the tests, which are no package.
_TESTS = str(Path(__file__).parents[2] / "tests")
if _TESTS not in sys.path:
    sys.path.append(_TESTS)
