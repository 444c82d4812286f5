"""``converge`` and ``python -m converge``."""

import signal
import sys


def main() -> None:
    """Runs a command and exits with its code."""
    # Signals wait until somebody can say what comes of them: `Stopping.install`.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    from converge.cli import main as run

    run()


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # `-m` has put the working folder first: its modules are none of ours.
        del sys.path[0]
    main()
