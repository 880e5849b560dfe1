"""A worker as the service sees it: started, asked, killed, replaced."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from tfmds.serving import messages

# What Python runs as a worker.
PROGRAM = ("-m", "tfmds.serving.worker")
# Seconds before a worker is replaced that died while it loaded the model.
_PAUSE = 2.0


class WorkerDied(Exception):
    """The worker is gone, and with it what it was asked."""


class Worker:
    """Keeps one worker process alive.

    Attributes:
      ready: Set while the process can be asked.
      about: What the process said of its model when it was ready.
      num_started: Processes that were started so far.
    """

    def __init__(self, settings: dict[str, Any], on_failure: Callable[[str], None]):
        """Starts nothing yet.

        Args:
          settings: What the process is given.
          on_failure: Is told why the model cannot be loaded, where it cannot.
        """
        self.ready = asyncio.Event()
        self.about: dict[str, Any] = {}
        self.num_started = 0
        self._settings = settings
        self._on_failure = on_failure
        self._process: asyncio.subprocess.Process | None = None
        self._numbers = itertools.count()
        self._calls: dict[int, tuple[asyncio.Future, Callable | None]] = {}
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Starts the process, and another when it has died, until cancelled."""
        while True:
            was_ready = await self._live()
            if not was_ready:
                await asyncio.sleep(_PAUSE)

    async def ask(
        self,
        header: messages.Header,
        payload: bytes = b"",
        on_progress: Callable[[messages.Header], None] | None = None,
    ) -> tuple[messages.Header, bytes]:
        """Sends a message and waits for the answer to it.

        Args:
          header: What is asked.
          payload: What belongs to it.
          on_progress: Is told what the worker says before the answer.

        Raises:
          WorkerDied: There is no process, or it died before it answered.
        """
        if not self.ready.is_set():
            raise WorkerDied
        number = next(self._numbers)
        future = asyncio.get_running_loop().create_future()
        self._calls[number] = future, on_progress
        try:
            async with self._lock:
                stdin = self._process.stdin
                stdin.write(messages.pack({**header, "id": number}, payload))
                await stdin.drain()
            return await future
        except (ConnectionError, RuntimeError) as e:
            raise WorkerDied from e
        finally:
            self._calls.pop(number, None)

    def kill(self) -> None:
        """Ends the process now; another takes its place."""
        self.ready.clear()
        if self._process is not None and self._process.returncode is None:
            # Its own method would collect an ended process behind asyncio's back.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def _live(self) -> bool:
        """One process from start to end; answers whether it was ever ready."""
        was_ready = False
        self.num_started += 1
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, *PROGRAM),
            json.dumps(self._settings),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
            # Ctrl-C is the service's to answer.
            start_new_session=True,
        )
        try:
            while True:
                header, payload = await messages.read_async(self._process.stdout)
                if header["kind"] == "ready":
                    self.about, was_ready = header, True
                    self.ready.set()
                elif header["kind"] == "failed":
                    self._on_failure(header["error"])
                else:
                    self._hear(header, payload)
        except (EOFError, ValueError, KeyError, TypeError):
            return was_ready
        finally:
            self.kill()
            for future, _ in self._calls.values():
                if not future.done():
                    future.set_exception(WorkerDied())
            await asyncio.shield(self._process.wait())

    def _hear(self, header: messages.Header, payload: bytes) -> None:
        # Nobody waits for it any more where the call was given up.
        future, on_progress = self._calls.get(header["id"], (None, None))
        if header["kind"] == "progress":
            if on_progress is not None:
                on_progress(header)
        elif future is not None and not future.done():
            future.set_result((header, payload))
