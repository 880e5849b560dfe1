"""What tfmds.detect costs on this machine: start-up, seconds a second of video, memory.

    python -m benchmarks.detection --model=EXPORT VIDEO...

Each video is judged by the program once, then three times in one run by one process:
the difference is what two more cost, and the rest of the first run the start-up. CPU
seconds are those of all threads; other programs disturb them less than the clock's.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import av
from absl import flags

from tfmds.common import app
from tfmds.common.errors import InputError

_MODEL = flags.DEFINE_string("model", None, "A folder that tfmds.export wrote.")
_TIMES = 3


def run(*words: str) -> tuple[float, float, float]:
    """Clock seconds, CPU seconds and the largest process in MB of a run of detect."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "tfmds.detect", "--num_workers=1", *words],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise InputError(f"tfmds.detect {' '.join(words)} failed; see above")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3


def main() -> None:
    """Prints a row for each video."""
    model = [f"--model={_MODEL.value}"] if _MODEL.value else []
    print("| video | seconds | start-up, clock (CPU) | a second, clock (CPU) | MB |")
    print("| --- | --- | --- | --- | --- |")
    for path in app.arguments():
        with av.open(path) as container:
            length = container.duration / av.time_base
            stream = container.streams.video[0]
            size = f"{stream.width}x{stream.height}"
        once = run(*model, path)
        with tempfile.TemporaryDirectory() as folder:
            for number in range(_TIMES):
                name = f"{number}{pathlib.Path(path).suffix}"
                os.symlink(os.path.abspath(path), os.path.join(folder, name))
            several = run(*model, folder)
        each = [(b - a) / (_TIMES - 1) for a, b in zip(once, several, strict=True)]
        start = [a - b for a, b in zip(once, each, strict=True)]
        print(
            f"| {size} | {length:.1f} | {start[0]:.1f} ({start[1]:.1f}) |"
            f" {each[0] / length:.2f} ({each[1] / length:.2f}) | {several[2]:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    app.run(main, takes_arguments=True)
