"""Progress bars, where the program was started from a terminal."""

import os
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from tfmds.common import app


def bar(
    iterable: Iterable | None = None, *, hidden: bool = False, **options: Any
) -> tqdm:
    """A bar on what standard error was at the start, where that is a terminal.

    What is written to standard error itself goes through a pipe (`app.run`), by which
    tqdm cannot tell, and which would mix a bar with what is printed beside it.

    Args:
      iterable: What is passed through, as tqdm takes it.
      hidden: Whether there is none on a terminal either.
      **options: As tqdm takes them.
    """
    terminal = os.fdopen(app.terminal(), "w", closefd=False, errors="replace")
    is_shown = terminal.isatty() and not hidden
    # Of no columns, as a terminal says that does not know them, tqdm makes no bar.
    has_width = is_shown and os.get_terminal_size(terminal.fileno()).columns > 0
    return tqdm(
        iterable,
        file=terminal,
        disable=not is_shown,
        dynamic_ncols=has_width,
        **options,
    )
