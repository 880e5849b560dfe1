"""One service for all tests of this folder, on a port of its own."""

import contextlib
import pathlib
import threading
import time

import httpx
import numpy as np
import pytest
import uvicorn

from tests import media
from tfmds.serving import process
from tfmds.serving.config import ServingConfig
from tfmds.serving.service import create_app


class Service:
    """A running service.

    Attributes:
      url: Where it is.
      app: The application.
      client: Asks it.
    """

    def __init__(self, settings: ServingConfig):
        self.settings = settings
        self.failures = []
        self.app = create_app(settings, self.failures.append)
        config = uvicorn.Config(
            self.app,
            port=0,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started)
        self._loop = self._server.servers[0].get_loop()
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=60)
        wait_until(lambda: self.client.get("/readyz").status_code == 200)

    def stop(self):
        self.client.close()
        self._server.should_exit = True
        self._thread.join(timeout=20)

    def call(self, function) -> None:
        """In the thread of the service, whose objects know no other."""
        self._loop.call_soon_threadsafe(function)

    def upload(self, content, name="clip.mp4", **options) -> httpx.Response:
        """Sends bytes, or the file of a path."""
        if isinstance(content, str | pathlib.Path):
            content = pathlib.Path(content).read_bytes()
        return self.client.post(
            "/v1/videos", params={"name": name}, content=content, **options
        )

    def state(self, job_id: str) -> dict:
        answer = self.client.get(f"/v1/videos/{job_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def finished(self, job_id: str) -> dict:
        """The state when the job is over."""
        wait_until(lambda: self.state(job_id)["state"] in ("done", "failed"))
        return self.state(job_id)

    def judged(self, path) -> dict:
        answer = self.upload(path)
        assert answer.status_code == 202, answer.text
        return self.finished(answer.json()["id"])


def wait_until(condition, seconds: float = 300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


@contextlib.contextmanager
def running(settings: ServingConfig):
    service = Service(settings)
    try:
        yield service
    finally:
        service.stop()


@pytest.fixture(scope="session")
def service(export_dir, tmp_path_factory):
    settings = ServingConfig(
        model=str(export_dir),
        data_dir=str(tmp_path_factory.mktemp("serving")),
        max_predict_mb=20,
        batch_window_ms=100,
        max_upload_mb=5,
        max_video_seconds=20,
        max_pixels=1_000_000,
    )
    with running(settings) as started:
        yield started


@pytest.fixture
def stub_service(tmp_path, monkeypatch):
    """Starts services whose worker is a stub; takes settings."""
    program = pathlib.Path(__file__).parent / "stub_worker.py"
    monkeypatch.setenv("PYTHONPATH", str(program.parents[2]))
    monkeypatch.setattr(process, "PROGRAM", (str(program),))
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(
            running(ServingConfig(None, str(tmp_path), **settings))
        )


# The least that looks like a video file.
MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(600)


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> dict[str, pathlib.Path]:
    """Small videos by what is special about them."""
    root = tmp_path_factory.mktemp("clips")
    mouths = 0.5 + 0.5 * np.sin(np.arange(90) / 3)
    heads = [media.talking_head(mouth=m) for m in mouths]
    room = np.full((240, 320, 3), (120, 135, 150), np.uint8)
    made = {
        "head": (heads, 30, media.tone(3)),
        "mute": (heads, 30, None),
        "empty room": ([room] * 90, 30, media.tone(3)),
        "short": (heads[:20], 30, media.tone(0.7)),
        "long": ([room] * 25, 1, media.tone(25)),
    }
    return {
        name: pathlib.Path(media.write_video(root / f"{name}.mp4", *how[:2], how[2]))
        for name, how in made.items()
    }
