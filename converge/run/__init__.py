"""The conductor of a run: copy, build, proof and drill-down, and the worker processes."""
