"""``python -m converge``."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        # `-m` has put the working folder first: its modules are none of ours.
        del sys.path[0]
    from converge.cli import main

    main()
