"""The gate: what the text of a revision would do to the rows that are there."""
