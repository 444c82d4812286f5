"""Backfills: another database is asked, its rows are joined to the table's, and each attempt is audited."""
