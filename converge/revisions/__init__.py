"""The user's own Alembic folder: where it is, what runs its revisions, and what they may do to rows."""
