"""Faults and what must come of them, shared by tests/test_faults.py and bench/faults.

`data` makes the source and moves it, `scene` runs `converge migrate` between proxies, `injectors` does
the damage, and `verdict` counts what was lost and what was doubled.
"""
