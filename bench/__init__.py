"""How fast converge is, compared with what the two servers can do at all. See README.md."""
