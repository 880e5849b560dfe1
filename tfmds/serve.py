"""Serves a web page on which videos are dropped, and the same for programs (REST).

    python -m tfmds.serve

    python -m tfmds.serve --model=EXPORT --data_dir=/tmp/tfmds

Then open http://localhost:8501. It judges by the model that comes with the package, or
with --model by another, and answers requests as TensorFlow Serving does (:predict,
docs/export_and_serving.md). Needs the packages of `pip install -e '.[serve]'`. It can
be reached from this machine only, unless --host says otherwise; then give --token and
put a server with TLS in front. What is over a limit gets the HTTP status that its flag
names.
"""

import dataclasses
import os
import socket

from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.common.flags import setting
from tfmds.serving.config import ServingConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """Where to listen."""

    host: str = setting("127.0.0.1", "Address to listen on.")
    port: int = setting(8501, "Port to listen on, 0 for any.", low=0, high=65535)
    max_connections: int = setting(
        256, "Requests at the same time; more get 503.", low=1
    )


def listen(config: ServeConfig) -> socket.socket:
    """A socket where clients are waited for.

    Raises:
      InputError: There is no such address on this machine, or the port is in use.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family)
    except OSError as e:
        raise InputError(
            f"--host={config.host} --port={config.port}: {e.strerror or e}; name"
            " another one, or --port=0 for any that is free"
        ) from e


def main(config: ServeConfig, serving: ServingConfig) -> None:
    """Flags to configuration, and the server around the application."""
    try:
        import uvicorn

        from tfmds.serving.service import create_app
    except ModuleNotFoundError as e:
        raise InputError(
            f"the service needs the package {e.name}: pip install -e '.[serve]'"
        ) from e
    host = f"[{config.host}]" if ":" in config.host else config.host
    serving = dataclasses.replace(
        serving,
        token=serving.token or os.environ.get("TFMDS_TOKEN", ""),
        allowed_hosts=(host, *map(str.lower, serving.allowed_hosts)),
    )
    failures: list[str] = []

    def fail(reason: str) -> None:
        failures.append(reason)
        server.should_exit = True

    server = uvicorn.Server(
        uvicorn.Config(
            create_app(serving, fail),
            limit_concurrency=config.max_connections,
            server_header=False,
            log_level="warning",
            timeout_graceful_shutdown=3,
        )
    )
    with listen(config) as listener:
        port = listener.getsockname()[1]
        print(f"Serving on http://{host}:{port} (stop with Ctrl-C).", flush=True)
        server.run(sockets=[listener])
    if failures:
        raise InputError(failures[0])


if __name__ == "__main__":
    app.run(main)
