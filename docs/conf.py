"""The site: `make docs` builds it from the pages of this folder into build/docs, with warnings as errors."""

from converge import __version__

project = "converge"
author = "the converge authors"
version = release = __version__
extensions = ["myst_parser"]
exclude_patterns = ["schemas"]
# Anchors of headings, as GitHub makes them; a link to one that is not there is a warning.
myst_heading_anchors = 4
html_theme = "furo"
html_title = f"converge {release}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
# Blocks in a language that no highlighter knows would be a warning: output of the terminal is `text`.
highlight_language = "text"
