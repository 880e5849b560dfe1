"""What the Dockerfile says, step by step, in a folder and a virtual environment."""

import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import venv

import httpx
import pytest

from tests import media
from tests.serving.conftest import wait_until

ROOT = pathlib.Path(__file__).parents[1]


def instructions() -> list[tuple[str, str]]:
    """The lines of the Dockerfile, each with its first word apart."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def of(word: str) -> list[str]:
    return [rest for first, rest in instructions() if first == word]


def test_what_is_copied_is_sent_to_docker():
    kept = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {name for line in of("COPY") for name in shlex.split(line)[:-1]}
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)
    (port,) = of("EXPOSE")
    assert f":{port}/readyz" in of("HEALTHCHECK")[0]


@pytest.mark.heavy
def test_the_image_serves(tmp_path):
    app, data = tmp_path / "app", tmp_path / "data"
    app.mkdir()
    for line in of("COPY"):
        *names, target = shlex.split(line)
        for name in names:
            to = app / target / name if target.endswith("/") else app / target
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, to, ignore=ignored)
            else:
                shutil.copy(ROOT / name, to)
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    environment = {
        "PATH": f"{binaries}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        **{k: os.environ[k] for k in ("PIP_INDEX_URL", "PIP_CERT") if k in os.environ},
    }
    steps = [line for line in of("RUN") if line.startswith("pip ")]
    assert steps
    for line in steps:
        subprocess.run(shlex.split(line), cwd=app, env=environment, check=True)
    # Nothing of where it was built is there afterwards.
    shutil.rmtree(app)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    environment |= dict(line.split("=", 1) for line in of("ENV"))
    assert environment["TFMDS_DATA_DIR"] in of("VOLUME")
    environment |= {
        "TFMDS_DATA_DIR": str(data),
        "TFMDS_PORT": str(port),
        "TFMDS_TOKEN": "secret",
    }
    (command,) = of("CMD")
    (check,) = of("HEALTHCHECK")
    check = re.sub(r"^.*?CMD ", "", check).replace(":8501/", f":{port}/")
    log = open(tmp_path / "log", "w")  # noqa: SIM115
    process = subprocess.Popen(
        json.loads(command), cwd=tmp_path, env=environment, stderr=log
    )

    def is_well() -> bool:
        assert process.poll() is None, (tmp_path / "log").read_text()
        done = subprocess.run(shlex.split(check), env=environment, capture_output=True)
        return done.returncode == 0

    try:
        wait_until(is_well)
        client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"authorization": "Bearer secret"},
        )
        head = media.talking_head()
        clip = media.write_video(tmp_path / "v.mp4", [head] * 60, 30, media.tone(2))
        content = pathlib.Path(clip).read_bytes()
        job = client.post("/v1/videos", content=content).json()["id"]
        path = f"/v1/videos/{job}"
        wait_until(lambda: client.get(path).json()["state"] == "done")
        assert client.get(path).json()["result"]["status"] == "ok"
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()
    said = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [line["status"] for line in lines if line["event"] == "job"] == ["ok"]
