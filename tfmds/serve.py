"""Serves a web page on which videos are dropped, and the same for programs (REST).

    python -m tfmds.serve

    python -m tfmds.serve --model=EXPORT --data_dir=/tmp/tfmds

Then open http://localhost:8501. It judges by the model that comes with the package, or
with --model by another, and answers requests as TensorFlow Serving does (:predict,
docs/export_and_serving.md). Needs the packages of `pip install -e '.[serve]'`. It can
be reached from this machine only, unless --host says otherwise; then give a token and
put a server with TLS in front. What is over a limit gets the HTTP status that its flag
names. Each flag may be set by an environment variable instead: TFMDS_PORT for --port;
what the command line says comes first. Requests and videos' ends are logged on standard
error, a JSON object a line.
"""

import dataclasses
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

        from tfmds.serving import log
        from tfmds.serving.service import create_app
    except ModuleNotFoundError as e:
        raise InputError(
            f"the service needs the package {e.name}: pip install -e '.[serve]'"
        ) from e
    host = f"[{config.host}]" if ":" in config.host else config.host
    serving = dataclasses.replace(
        serving, allowed_hosts=(host, *map(str.lower, serving.allowed_hosts))
    )
    failures: list[str] = []

    def fail(reason: str) -> None:
        failures.append(reason)
        server.should_exit = True

    server = uvicorn.Server(
        uvicorn.Config(
            create_app(serving, fail),
            # Above what `Guard` answers: open connections without a request, too.
            limit_concurrency=2 * serving.max_connections + 64,
            server_header=False,
            log_level="warning",
            timeout_graceful_shutdown=3,
        )
    )
    with listen(config) as listener:
        port = listener.getsockname()[1]
        log.start()
        serving.warn_of_strangers(config.host)
        print(f"Serving on http://{host}:{port} (stop with Ctrl-C).", flush=True)
        server.run(sockets=[listener])
    if failures:
        raise InputError(failures[0])


if __name__ == "__main__":
    app.run(main, environment="TFMDS_")
