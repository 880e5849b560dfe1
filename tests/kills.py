"""A process that is killed at any of its operations on files."""

import builtins
import io
import os

import pytest

# What changes files, one system call each.
_OPERATIONS = ("mkdir", "rename", "replace", "unlink", "remove", "rmdir")


class Killed(BaseException):
    """Raised in place of an operation, and of all that follow."""


class Steps:
    """Counts the operations on files, and lets only so many happen."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.taken = 0
        self.most: int | None = None
        self._monkeypatch = monkeypatch
        for name in _OPERATIONS:
            self.watch(os, name)
        for module in (builtins, io):
            self.watch(module, "open", lambda _, mode="r", *a, **k: "r" not in mode)

    def watch(self, owner, name: str, counts=lambda *a, **k: True) -> None:
        """Counts the calls of a function, those for which `counts` says so."""
        operation = getattr(owner, name)

        def step(*args, **kwargs):
            if counts(*args, **kwargs):
                self.take()
            return operation(*args, **kwargs)

        self._monkeypatch.setattr(owner, name, step)

    def take(self) -> None:
        """One operation."""
        self.taken += 1
        if self.most is not None and self.taken > self.most:
            raise Killed

    def run(self, function, *, most: int | None = None) -> int:
        """Runs a function until it was killed, or to its end; how many it took."""
        self.taken, self.most = 0, most
        try:
            function()
        except Killed:
            pass
        finally:
            taken, self.most = self.taken, None
        return taken
