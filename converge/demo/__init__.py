"""A made-up application database to try converge on, with the traps of real ones in it."""
