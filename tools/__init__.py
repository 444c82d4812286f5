"""Makes pages of docs/ and JSON Schemas from the code; not in the wheel."""
