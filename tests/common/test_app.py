"""How programs end."""

import os
import subprocess
import sys

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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a disk that is full")
def test_no_room_is_told_in_a_sentence():
    done = ended("open('/dev/full', 'w', buffering=1).write('a line\\n')")
    assert_refused(done, "No space left on device")
