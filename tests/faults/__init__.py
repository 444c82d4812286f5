"""Faults and what must come of them, shared by the tests of this folder and bench/faults.

`data` makes the source and moves it, `scene` runs `converge migrate` between proxies, `injectors` and
`backends` do the damage, `every` lists it, `rounds` puts it all together, `verdict` counts what was lost.
"""
