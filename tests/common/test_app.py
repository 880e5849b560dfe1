"""How programs end."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from tests.conftest import assert_refused

PROGRAM = """
import sys
from tfmds.common import app

def main() -> int:
    {does}

app.run(main)
"""


def ended(does: str, **options) -> subprocess.CompletedProcess:
    """What became of a program that does this."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(does=does)],
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_fault_is_told_and_is_no_verdict():
    done = ended("raise KeyError('gone')")
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert "KeyError: 'gone'" in done.stderr
    # Also one of those that output may have, where it is of something else.
    done = ended("raise BrokenPipeError(32, 'a pipe')", stdout=subprocess.PIPE)
    assert done.returncode == 70


def test_output_that_nobody_reads_any_more():
    ours, theirs = os.pipe()
    os.close(ours)
    done = ended("print('real', flush=True)", stdout=theirs)
    os.close(theirs)
    assert_refused(done, "whoever read the output closed it")


@pytest.mark.slow(15)
def test_what_is_set_for_keras_elsewhere_changes_nothing(tmp_path, monkeypatch):
    settings = {"floatx": "float16", "epsilon": 0.01, "backend": "torch"}
    settings["image_data_format"] = "channels_first"
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    found = "(c.backend(), c.floatx(), c.epsilon(), c.image_data_format())"
    done = ended(
        f"from keras import config as c; print(*{found})", stdout=subprocess.PIPE
    )
    assert done.stdout == "tensorflow float32 1e-07 channels_last\n"


@pytest.mark.parametrize("lines", [0, 1])
def test_help_of_which_the_first_lines_are_read_ends_quietly(lines):
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.common.progress_program", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for _ in range(lines):
        program.stdout.readline()
    program.stdout.close()
    assert program.stderr.read() == b""
    assert program.wait() == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a disk that is full")
def test_no_room_is_told_in_a_sentence():
    done = ended("open('/dev/full', 'w', buffering=1).write('a line\\n')")
    assert_refused(done, "No space left on device")


BAR = "from tfmds.common import progress; [None for _ in progress.bar(range(3))]"
# As a job starts its steps.
STEP = (
    "from pipelines.reproduction import runner;"
    " runner.execute(['tests.common.progress_program'])"
)


def on_a_terminal(does: str, columns: int) -> str:
    """What a program that does this writes to a standard error that is a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(does=does)], stderr=theirs
    )
    os.close(theirs)
    said = b""
    try:
        while data := os.read(ours, 65536):
            said += data
    except OSError:
        # The other end was closed.
        pass
    finally:
        os.close(ours)
    assert program.wait() == 0
    return said.decode()


@pytest.mark.parametrize(("does", "columns"), [(BAR, 80), (BAR, 0), (STEP, 80)])
def test_a_bar_is_shown_on_a_terminal(does, columns):
    said = on_a_terminal(does, columns)
    assert "100%" in said
    assert "3/3" in said


@pytest.mark.parametrize("does", [BAR, STEP])
def test_no_bar_is_written_to_a_file(does):
    assert ended(does).stderr == ""
