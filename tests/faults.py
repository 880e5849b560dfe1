"""Processes that come to grief over files of certain names."""

import pytest

from tfmds.preprocessing import processes

_PROGRAM = """
import ctypes, os, signal, time
from tfmds.common import messages
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

class Connection:
    def __init__(self, its):
        self.its, self.sent = its, 0

    def __getattr__(self, name):
        return getattr(self.its, name)

    def sendall(self, message):
        self.sent += b'"segment"' in message[:100]
        if self.sent == 2 and (name := fault()):
            # So much of the message is under way when it happens.
            self.its.sendall(message[: len(message) // 2])
            if "nonsense" in name:
                self.its.sendall(bytes(len(message)))
            while "stopped" in name:
                time.sleep(1000)
            os.kill(os.getpid(), signal.SIGKILL)
        self.its.sendall(message)

def fault():
    return path if "handing over" in path else ""

class TrackReader(tracks.TrackReader):
    def __init__(self, its_path, *args, **more):
        global path
        super().__init__(its_path, *args, **more)
        path = its_path

path = ""
connect = messages.connection
messages.connection = lambda: Connection(connect())
isolation.TrackReader = TrackReader
tracks.Media = Media
isolation.serve()
"""


@pytest.fixture
def faulty(monkeypatch):
    """Files with segfault, exit, hang or memory in their names do what these say.

    Those with "handing over" kill the process in the middle of the second segment, send
    it with nonsense in it, or stop there.
    """
    processes.close_all()
    monkeypatch.setattr(processes, "_PROGRAM", _PROGRAM)
    yield
    processes.close_all()
