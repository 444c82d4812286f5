"""`converge backfill`: rows of another database are matched with a table's; attempts are audited."""
