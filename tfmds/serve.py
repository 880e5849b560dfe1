"""Serves an exported model: TensorFlow Serving's REST interface, uploads, a web page.

    python -m tfmds.serve --model=EXPORT --data_dir=/tmp/tfmds

Needs the packages of `pip install 'tfmds[serve]'`. Listens on loopback unless --host
says otherwise; then give --token and put a server with TLS in front.
"""

import dataclasses
import os

from absl import flags

from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.exporting import export_info
from tfmds.serving.config import Settings

_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen on.")
_PORT = flags.DEFINE_integer(
    "port", 8501, "Port to listen on, 0 for any.", lower_bound=0, upper_bound=65535
)
_MAX_CONNECTIONS = flags.DEFINE_integer(
    "max_connections", 256, "Requests at the same time; more get 503.", lower_bound=1
)
_SETTINGS = {
    "model": flags.DEFINE_string(
        "model",
        None,
        "A folder that tfmds.export wrote; without it the package's own.",
    ),
    "data_dir": flags.DEFINE_string(
        "data_dir",
        os.path.join(os.path.expanduser("~"), ".cache", "tfmds", "serve"),
        "Folder for uploads, results and the list of jobs.",
    ),
    "allowed_hosts": flags.DEFINE_list(
        "allowed_hosts",
        [],
        "Names under which the service is reached, besides localhost and --host; * for"
        " any.",
    ),
    "token": flags.DEFINE_string(
        "token",
        "",
        "Who knows it may use the service; better given as the environment variable"
        " TFMDS_TOKEN. Empty: everybody who can reach it.",
    ),
}
_HELP = {
    "batch_size": "Chunks that are given to the model at a time, at most.",
    "batch_window_ms": "Milliseconds a request waits for others to join its batch.",
    "max_predict_mb": "Largest body of a :predict request, in megabytes.",
    "max_predictions": ":predict requests at work or waiting; more get 503.",
    "max_predict_seconds": "A model that takes longer is loaded again.",
    "max_upload_mb": "Largest upload, in megabytes.",
    "max_video_seconds": "Longest video, in seconds.",
    "max_megapixels": "Largest picture, in millions of pixels.",
    "workers": "Videos that are judged at the same time, a process each.",
    "max_queued": "Videos that wait; more get 503.",
    "max_uploads": "Uploads at the same time; more get 503.",
    "uploads_per_minute": "Uploads of one address in a minute; more get 429.",
    "max_job_seconds": "Time for one video, in seconds.",
    "max_job_mb": "Memory one video may take beyond the model, in megabytes.",
    "keep_hours": "Uploads and results are deleted after so many hours.",
}
for _field in dataclasses.fields(Settings):
    if _field.name in _HELP:
        _define = flags.DEFINE_integer if _field.type is int else flags.DEFINE_float
        _SETTINGS[_field.name] = _define(
            _field.name,
            _field.default,
            _HELP[_field.name],
            lower_bound=1 if _field.type is int else 0,
        )


def main() -> None:
    """Flags to settings, and the server around the application."""
    try:
        import uvicorn

        from tfmds.serving.app import create_app
    except ModuleNotFoundError as e:
        raise InputError(
            f"the service needs the package {e.name}: pip install 'tfmds[serve]'"
        ) from e
    values = {name: flag.value for name, flag in _SETTINGS.items()}
    # A wrong path is told at once, before any process looks at it.
    values["model"] = str(export_info.find(values["model"]))
    values["token"] = values["token"] or os.environ.get("TFMDS_TOKEN", "")
    host = f"[{_HOST.value}]" if ":" in _HOST.value else _HOST.value
    values["allowed_hosts"] = (
        *Settings.allowed_hosts, host, *map(str.lower, values["allowed_hosts"]),
    )  # fmt: skip
    failures: list[str] = []

    def fail(reason: str) -> None:
        failures.append(reason)
        server.should_exit = True

    config = uvicorn.Config(
        create_app(Settings(**values), fail),
        host=_HOST.value,
        port=_PORT.value,
        limit_concurrency=_MAX_CONNECTIONS.value,
        server_header=False,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)
    print(f"Serving on http://{host}:{_PORT.value} (stop with Ctrl-C).", flush=True)
    server.run()
    if failures:
        raise InputError(failures[0])


if __name__ == "__main__":
    app.run(main)
