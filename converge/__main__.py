"""``python -m converge``."""

from converge.cli import main

if __name__ == "__main__":
    main()
