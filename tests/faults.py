"""Processes that come to grief over files of certain names."""

import pytest

from tfmds.preprocessing import isolation

_PROGRAM = """
import ctypes, os, time
from tfmds.preprocessing import isolation, media, tracks

def come_to_grief(path):
    if "segfault" in path:
        ctypes.string_at(0)
    if "exit" in path:
        os._exit(3)
    if "hang" in path:
        time.sleep(1000)
    if "memory" in path:
        return bytearray(10**15)

class Media(media.Media):
    def __init__(self, path, *args):
        super().__init__(path, *args)
        self._path = path

    def pictures(self):
        for i, picture in enumerate(super().pictures()):
            if i == 50:
                come_to_grief(self._path)
            yield picture

tracks.Media = Media
isolation.serve()
"""


@pytest.fixture
def faulty(monkeypatch):
    """Files with segfault, exit, hang or memory in their names do what these say."""
    isolation.close_idle()
    monkeypatch.setattr(isolation, "_PROGRAM", _PROGRAM)
    yield
    isolation.close_idle()
