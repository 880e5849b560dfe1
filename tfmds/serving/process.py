"""The process with the model as the service sees it: started, asked, replaced."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from tfmds.common import messages

# What Python runs as a worker.
PROGRAM = ("-m", "tfmds.serving.worker")
# Seconds before a worker is replaced that died while it loaded the model.
_PAUSE = 2.0
# Seconds until it must have stopped what nobody waits for any more.
_STOP_SECONDS = 10.0


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
        self._writer: asyncio.StreamWriter | None = None
        self._numbers = itertools.count()
        self._calls: dict[int, tuple[asyncio.Future, Callable | None]] = {}
        self._lock = asyncio.Lock()
        self._stopping: set[asyncio.Task] = set()

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

        Where this is cancelled the process stops what it was asked; one that does not
        is ended.

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
        future.add_done_callback(lambda _: self._calls.pop(number, None))
        try:
            await self._send({**header, "id": number}, payload)
            return await asyncio.shield(future)
        except (ConnectionError, RuntimeError) as e:
            future.cancel()
            raise WorkerDied from e
        except asyncio.CancelledError:
            task = asyncio.create_task(self._stop(number, future))
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)
            raise

    async def _send(self, header: messages.Header, payload: bytes = b"") -> None:
        async with self._lock:
            assert self._writer is not None, "asked before there was a process"
            self._writer.write(messages.pack(header, payload))
            await self._writer.drain()

    async def _stop(self, number: int, future: asyncio.Future) -> None:
        try:
            await self._send({"kind": "stop", "id": number})
            await asyncio.wait_for(future, _STOP_SECONDS)
        except asyncio.TimeoutError:
            self.kill()
        except (ConnectionError, RuntimeError, WorkerDied):
            # Then it has stopped for sure.
            future.cancel()

    async def stopped(self) -> None:
        """Waits until what was given up has ended."""
        while self._stopping:
            await asyncio.wait(self._stopping)

    def kill(self) -> None:
        """Ends the process now; another takes its place."""
        self.ready.clear()
        if self._process is not None and self._process.returncode is None:
            # Its own method would collect an ended process behind asyncio's back.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def _live(self) -> bool:
        """One process from start to end; returns whether it was ever ready."""
        was_ready = False
        self.num_started += 1
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, *PROGRAM),
                json.dumps(self._settings),
                stdin=theirs.fileno(),
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
                # Ctrl-C is the service's to answer.
                start_new_session=True,
            )
        reader, self._writer = await asyncio.open_connection(sock=ours)
        try:
            while True:
                header, payload = await messages.receive_async(reader)
                if header["kind"] == "ready":
                    self.about, was_ready = header, True
                    self.ready.set()
                elif header["kind"] == "failed":
                    self._on_failure(header["error"])
                else:
                    self._hear(header, payload)
        except (EOFError, ConnectionError, ValueError, KeyError, TypeError):
            return was_ready
        finally:
            self.kill()
            self._writer.close()
            for future, _ in list(self._calls.values()):
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
