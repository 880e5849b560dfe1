"""How every program starts: flags, messages, and errors a user can read."""

import atexit
import logging
import os
import re
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from absl import app
from absl import logging as absl_logging

from tfmds.common.errors import InputError

# Exit code for input that cannot be used; 1 is left to crashes.
INPUT_ERROR = 2

# TensorFlow and Beam greet on the terminal whatever their log levels say.
_GREETING = re.compile(
    rb"WARNING: All log messages before absl|[IWE]0000 00:00:|To enable the following"
    rb"|INFO:(apache_beam|__main__)"
)


def run(main: Callable[[], int | None], *, takes_arguments: bool = False) -> None:
    """Parses the flags, calls `main` and exits with what it answers.

    Args:
      main: Answers an exit code, None for 0.
      takes_arguments: Whether words that are no flags are allowed; `main` finds
        them in `arguments()`.
    """

    def _main(argv: list[str]) -> int | None:
        global _arguments
        if len(argv) > 1 and not takes_arguments:
            raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
        _arguments = argv[1:]
        absl_logging.set_verbosity(absl_logging.WARNING)
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        try:
            return main()
        except InputError as e:
            print(f"error: {e}", file=sys.stderr)
            return INPUT_ERROR
        except KeyboardInterrupt:
            print("stopped; run the same command again to go on", file=sys.stderr)
            return 130

    app.run(_main)


def restart() -> NoReturn:
    """Starts this program anew in its place, for what a process can do only once."""
    sys.stdout.flush()
    _restore_terminal()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


_arguments: list[str] = []


def arguments() -> list[str]:
    """The words of the command line that are no flags."""
    return _arguments


def _drop_greetings() -> Callable[[], None]:
    """Lets standard error through but for the greetings of libraries.

    They are written by C++ code and by worker processes, so the file descriptor is
    the only place where they can be caught. Answers what undoes it.
    """
    terminal = os.dup(2)
    source, sink = os.pipe()
    os.dup2(sink, 2)
    os.close(sink)

    def copy() -> None:
        rest = b""
        while data := os.read(source, 65536):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if not _GREETING.match(line):
                    os.write(terminal, line + b"\n")
            # A progress bar is a line without an end.
            if rest and not _GREETING.match(rest):
                os.write(terminal, rest)
                rest = b""

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()

    def restore() -> None:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        # Child processes may hold the pipe open a little longer.
        thread.join(timeout=1)

    atexit.register(restore)
    return restore


_restore_terminal: Callable[[], None] = sys.stderr.flush
# Only where a program of ours was started, not where a test imports one.
_program = getattr(sys.modules["__main__"], "__spec__", None)
if _program is not None and _program.name.startswith(("tfmds.", "pipelines.")):
    _restore_terminal = _drop_greetings()
