"""Starts programs as forks of one process, which has imported the libraries before.

    python -m tests.launcher

A line of standard input is the JSON of one program (see `run`), the line of standard
output that answers it is its exit code. Arguments, streams, environment and all that a
program does to its process are its own; the project itself it imports anew.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile

# What takes long to import.
_LIBRARIES = (
    "altair",
    "av",
    "cv2",
    "keras",
    "scipy.signal",
    "scipy.stats",
    "sklearn.metrics",
    "tensorflow",
)


def run(*words: str) -> subprocess.CompletedProcess:
    """Runs `python -m WORDS...`, and waits for its end."""
    if sys.platform != "linux":
        # The system's libraries refuse to go on in a fork.
        return subprocess.run(
            [sys.executable, "-m", *words], capture_output=True, text=True
        )
    with (
        tempfile.NamedTemporaryFile("r") as out,
        tempfile.NamedTemporaryFile("r") as errors,
    ):
        process = _process()
        request = {
            "words": words,
            "streams": [os.devnull, out.name, errors.name],
            "environment": dict(os.environ),
            "folder": os.getcwd(),
        }
        print(json.dumps(request), file=process.stdin, flush=True)
        code = int(process.stdout.readline())
        return subprocess.CompletedProcess(words, code, out.read(), errors.read())


@functools.cache
def _process() -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=pathlib.Path(__file__).parents[1],
    )
    atexit.register(process.wait)
    atexit.register(process.stdin.close)
    return process


def _serve() -> None:
    """Forks for each line of standard input; returns in the forks, when they ended."""
    for name in _LIBRARIES:
        importlib.import_module(name)
    # Else a fork copies all of it when it ends.
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(**json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(words, streams, environment, folder) -> None:
    for number, path in enumerate(streams):
        os.dup2(os.open(path, os.O_RDWR), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.orig_argv = [sys.executable, "-m", *words]
    sys.argv = list(words)
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve()
