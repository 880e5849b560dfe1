"""Stands in for the worker where the model does not matter; names say what happens."""

import json
import os
import pathlib
import sys
import time

from tfmds.serving import jobs, messages


def main():
    source, sink = sys.stdin.buffer, sys.stdout.buffer

    def say(header):
        sink.write(messages.pack(header))
        sink.flush()

    say({"kind": "ready", "version": 1, "model_id": "m", "signature_def": {}})
    while True:
        try:
            header, _ = messages.read(source)
        except EOFError:
            return
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
            sink.write(b"\xff" * 100)
            sink.flush()
        while name in ("hang", "garbage"):
            time.sleep(1)
        if name == "broken":
            say({"kind": "answer", "id": number, "error": "no memory", "broken": True})
            continue
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
