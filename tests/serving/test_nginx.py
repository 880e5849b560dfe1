"""The block of nginx in the documents, before a service."""

import json
import pathlib
import re
import shutil
import socket
import subprocess

import httpx
import pytest

from tests.serving.conftest import MP4, wait_until

pytestmark = pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx")
DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "export_and_serving.md"

CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {block}
    }}
}}
"""


@pytest.fixture
def proxied(stub_service, tmp_path):
    """A client of nginx with the documents' block before a stub of the service."""
    service = stub_service(
        root_path="/tfmds",
        allowed_hosts=("example.org",),
        max_upload_mb=50,
        uploads_per_minute=4,
    )
    (block,) = re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert "http://127.0.0.1:8501/" in block
    block = block.replace("http://127.0.0.1:8501/", f"{service.url}/")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    folder = tmp_path.parent / f"{tmp_path.name}_nginx"
    folder.mkdir()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(folder=folder, port=port, block=block)
    )
    process = subprocess.Popen(
        ["nginx", "-c", configuration, "-p", folder, "-e", folder / "error.log"]
    )
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"host": "example.org"}
    )

    def is_up():
        assert process.poll() is None
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(is_up, 20)
        yield client, service, folder
    finally:
        client.close()
        process.terminate()
        process.wait()


def test_page_uploads_and_events_pass_a_proxy_below_a_path(proxied):
    client, service, folder = proxied
    page = client.get("/tfmds/")
    assert page.status_code == 200
    for name in re.findall(r'(?:href|src)="(static/[^"]+)"', page.text):
        assert client.get(f"/tfmds/{name}").status_code == 200
    assert client.get("/tfmds").status_code == 301
    assert client.head("/tfmds/healthz").status_code == 200
    # More than a proxy keeps in memory, with and without a length.
    content = MP4 + bytes(30_000_000)
    pieces = (content[at : at + 1_000_000] for at in range(0, len(content), 1_000_000))
    for sent in (content, pieces):
        answer = client.post("/tfmds/v1/videos?name=wait", content=sent)
        assert answer.status_code == 202, answer.text
        assert answer.json()["size"] == len(content)
        # It was not written down on its way.
        assert not [path for path in (folder / "body").rglob("*") if path.is_file()]
    too_large = client.post("/tfmds/v1/videos", content=MP4 + bytes(60_000_000))
    assert too_large.status_code == 413
    assert "50 MB" in too_large.json()["error"]

    job = answer.headers["location"]
    assert job.startswith("/tfmds/v1/videos/")
    first = client.get("/tfmds/v1/service").json()
    assert first["model"] == "mds"
    states = []
    folders = list(pathlib.Path(service.settings.data_dir, "videos").iterdir())
    with client.stream("GET", f"{job}/events", timeout=20) as stream:
        for line in stream.iter_lines():
            if not line.startswith("data: "):
                continue
            states.append(json.loads(line.removeprefix("data: "))["state"])
            # Events come while the videos are at work: nothing was held back.
            for at_work in folders:
                (at_work / "go").touch()
    assert states[0] in ("queued", "running")
    assert states[-1] == "done"
    part = client.get(f"{job}/video", headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")


def test_limits_are_of_who_asks_and_not_of_the_proxy(proxied):
    client, service, _ = proxied
    codes = [
        client.post(
            "/tfmds/v1/videos?name=good",
            content=MP4,
            headers={"x-forwarded-for": f"10.0.0.{number % 2}"},
        ).status_code
        for number in range(2 * service.settings.uploads_per_minute + 1)
    ]
    assert codes == [202] * (len(codes) - 1) + [429]
