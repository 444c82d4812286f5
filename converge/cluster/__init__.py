"""Workers of other machines join a run through its ledger, which stays the one place that knows the work."""
