"""All talk with the target."""
