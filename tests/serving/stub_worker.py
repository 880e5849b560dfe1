"""Stands in for the worker where the model does not matter; names say what happens."""

import json
import os
import pathlib
import time

from tfmds.common import messages
from tfmds.serving import jobs


def main():
    connection = messages.connection()

    def say(header):
        connection.sendall(messages.pack(header))

    say({"kind": "ready", "version": 1, "model_id": "m", "signature_def": {}})
    while True:
        try:
            header, _ = messages.receive(connection)
        except EOFError:
            return
        if header["kind"] == "stop":
            continue
        name, number = header["name"], header["id"]
        # Dies of something else, once, before it looks at the video.
        lucky = pathlib.Path(header["folder"], "was here")
        if name == "unlucky" and not lucky.exists():
            lucky.touch()
            os._exit(1)
        say({"kind": "progress", "id": number, "progress": 0.0})
        if name == "crash":
            os._exit(1)
        if name == "garbage":
            connection.sendall(b"\xff" * 100)
        while name in ("hang", "garbage"):
            time.sleep(1)
        if name == "fail":
            say({"kind": "answer", "id": number, "error": "it is too long"})
            continue
        say({"kind": "progress", "id": number, "progress": 0.5})
        folder = pathlib.Path(header["folder"])
        while name == "wait" and not (folder / "go").exists():
            time.sleep(0.02)
        (folder / jobs.RESULT_FILE).write_text(json.dumps({"path": name}))
        say({"kind": "answer", "id": number})


main()
