"""`--mode load`: the plan for tables that the application's own migrations have made."""
