"""All talk with the source."""
