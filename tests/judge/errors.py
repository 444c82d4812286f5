"""What the judge refuses to judge."""


class JudgeError(Exception):
    """The judge cannot give a verdict, which is never the same as "equal"."""
