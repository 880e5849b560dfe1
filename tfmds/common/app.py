"""How every program starts: flags, messages, and errors a user can read."""

import atexit
import errno
import logging
import os
import re
import select
import shlex
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from typing import NoReturn

from absl import app
from absl import flags as absl_flags
from absl import logging as absl_logging

from tfmds.common import flags, remote_paths
from tfmds.common.errors import InputError

# Flags belong to the module that calls `run`, whose --help shows them.
absl_flags.disclaim_key_flags()

# Exit code for input that cannot be used, and for output that cannot be written.
INPUT_ERROR = 2
# For a fault of the program, as sysexits.h has it; 1 is a verdict of some programs.
CRASH = 70

# What a shell or a keras.json sets for Keras is for other projects, and would
# change figures or end a program; no file has a place below the null device.
_KERAS = {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": os.devnull}

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# TensorFlow and Beam greet on the terminal whatever their log levels say.
_GREETING = re.compile(
    rb"WARNING: All log messages before absl|[IWE]0000 00:00:|To enable the following"
    rb"|INFO:(apache_beam|__main__)|.{,80}\bapitools not found"
)


def run(
    main: Callable[..., int | None],
    *,
    takes_arguments: bool = False,
    environment: str = "",
    foreign: Callable[[list[str]], list[str]] | None = None,
) -> None:
    """Parses the flags, calls `main` and exits with what it returns.

    All that a program does to its process is done here. Programs import what starts
    TensorFlow in `main`: after this, so that its greetings stay off the terminal, and
    after the flags were read, so that a mistyped one is told at once.

    Args:
      main: Takes configurations, whose settings become flags (see `flags`). Returns an
        exit code, None for 0.
      takes_arguments: Whether words that are no flags are allowed; `main` finds
        them in `arguments()`.
      environment: What names of environment variables begin with that set flags of
        `main`; empty for none.
      foreign: Tells which flags that are none of ours belong to another library;
        `main` finds them in `foreign_flags()`.
    """
    global _program, _restore_terminal
    spec = main.__globals__["__spec__"]
    _program = spec.name if spec else main.__module__
    _restore_terminal = _drop_greetings()
    # Keras reads them when it is imported, here and in the processes of this one.
    os.environ.update(_KERAS)
    remote_paths.register()
    if not sys.warnoptions:
        # Libraries warn their own developers; `python -W default` shows them.
        warnings.simplefilter("ignore")
    configs = flags.define(main)

    def parse(argv: list[str]) -> list[str]:
        global _arguments, _foreign_flags
        try:
            if environment:
                set_there = flags.in_environment(environment, configs.values())
                argv = [argv[0], *set_there, *argv[1:]]
            _arguments, _foreign_flags = flags.parse(argv, foreign)
            if _arguments and not takes_arguments:
                raise InputError(f"unexpected arguments: {' '.join(_arguments)}")
            flags.check_outputs()
        except InputError as e:
            print(f"error: {e}", file=sys.stderr)
            sys.exit(INPUT_ERROR)
        except (SystemExit, BrokenPipeError):
            # absl ends with 1 after --help, which for some programs has a meaning; and
            # who reads the first lines of it reads no more.
            _let_output_go()
            sys.exit(0)
        return argv

    def call(_: list[str]) -> int | None:
        absl_logging.set_verbosity(absl_logging.WARNING)
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        try:
            return main(**{name: config.read() for name, config in configs.items()})
        except KeyboardInterrupt:
            print("stopped; run the same command again to go on", file=sys.stderr)
            return 130
        except Exception as e:
            return _tell(e)

    app.run(call, flags_parser=parse)


def _tell(error: Exception) -> int:
    """Says what ended a program; returns the exit code."""
    if isinstance(error, InputError):
        text = str(error)
    elif isinstance(error, OSError) and error.errno in _NO_ROOM:
        text = f"{error.filename or 'the output'}: {error.strerror}"
    elif isinstance(error, BrokenPipeError) and _output_is_closed():
        _let_output_go()
        text = "whoever read the output closed it"
    else:
        traceback.print_exception(error)
        return CRASH
    print(f"error: {text}", file=sys.stderr)
    return INPUT_ERROR


def _let_output_go() -> None:
    """Writes what is left of the output where somebody still reads it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Nor could Python write it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _output_is_closed() -> bool:
    output = select.poll()
    output.register(sys.stdout, 0)
    # Nobody is at the other end.
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in output.poll(0))


def restart() -> NoReturn:
    """Starts this program anew in its place, for what a process can do only once."""
    sys.stdout.flush()
    _restore_terminal()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


_program = ""
_arguments: list[str] = []
_foreign_flags: list[str] = []


def arguments() -> list[str]:
    """The words of the command line that are no flags."""
    return _arguments


def foreign_flags() -> list[str]:
    """The flags of the command line that belong to another library."""
    return _foreign_flags


def terminal() -> int:
    """File descriptor of what standard error was when the program was started."""
    return _terminal


def command(program: str, *words: object) -> str:
    """A command that can be pasted into a shell."""
    return shlex.join(["python", "-m", program, *map(str, words)])


def this_command() -> str:
    """The command that started this program, to be pasted into a shell."""
    return command(_program, *sys.argv[1:])


def _drop_greetings() -> Callable[[], None]:
    """Lets standard error through but for the greetings of libraries.

    They are written by C++ code and by worker processes, so the file descriptor is
    the only place where they can be caught. Returns what undoes it.
    """
    global _terminal
    terminal = _terminal = os.dup(2)
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
        global _terminal
        sys.stderr.flush()
        os.dup2(terminal, 2)
        _terminal = 2
        # Child processes may hold the pipe open a little longer.
        thread.join(timeout=1)

    atexit.register(restore)
    return restore


_terminal = 2
_restore_terminal: Callable[[], None] = sys.stderr.flush
