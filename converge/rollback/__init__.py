"""`converge rollback`: what has changed in the target since the cutover goes back to the source."""
