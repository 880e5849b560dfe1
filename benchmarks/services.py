"""The service in a process of its own, for as long as a benchmark asks it."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx


@contextlib.contextmanager
def running(
    *words: str, tree: str = ".", timeout: float = 300, stderr: int | None = None
) -> Iterator[tuple[httpx.Client, subprocess.Popen]]:
    """Starts tfmds.serve of a tree on a free port.

    Args:
      words: Its flags, but for the port.
      tree: Folder of the project.
      timeout: Seconds that a request may take.
      stderr: Where its messages go, as of subprocess.Popen.

    Yields:
      A client of the service, and its process, which ends with the block. It may not be
      ready yet.
    """
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "tfmds.serve", *words, f"--port={port}"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": os.path.abspath(tree)},
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=timeout)
    try:
        yield client, process
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(client: httpx.Client) -> None:
    """Returns when the service can be asked."""
    while True:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/readyz").status_code == 200:
                return
        time.sleep(0.1)
