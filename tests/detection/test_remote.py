"""The client, against a server that answers as TensorFlow Serving's documents say."""

import base64
import http.server
import json
import threading

import pytest

from tfmds.common.errors import InputError
from tfmds.detection import remote
from tfmds.exporting import export_info


@pytest.fixture
def server():
    """Answers what `server.answers` holds, one after the other."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.asked.append((self.path, dict(self.headers), json.loads(body)))
            status, answer = made.answers.pop(0)
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(
                answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            )

        def log_message(self, *_):
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.answers, made.asked = [], []
    made.url = f"http://127.0.0.1:{made.server_port}/v1/models/mds"
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def about(export_dir):
    return (export_dir / "1" / "assets" / export_info.INFO_FILE).read_text()


def test_a_model_tells_what_it_is_and_answers_distances(
    server, about, export_dir, monkeypatch
):
    monkeypatch.setenv(remote.TOKEN, "secret")
    # The name of an only output is left out; a busy server is asked again.
    server.answers = [(503, {"error": "busy"}), (200, {"outputs": [about]})]
    server.answers.append((200, {"outputs": {"distance": [0.5, 0.25], "example": [0]}}))
    model = remote.connect(server.url)
    info = export_info.read_info(export_info.find(export_dir))
    assert (model.spec, model.threshold) == (info.spec, info.threshold)
    assert model.score([b"\xff", b""])["distance"].tolist() == [0.5, 0.25]
    path, headers, body = server.asked[-1]
    assert path == "/v1/models/mds:predict"
    assert headers["Authorization"] == "Bearer secret"
    assert body["signature_name"] == "examples"
    sent = [base64.b64decode(value["b64"]) for value in body["inputs"]["examples"]]
    assert sent == [b"\xff", b""]


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        (404, {"error": "Servable not found"}, "answers 404: Servable not found"),
        (200, b"<html>a shop</html>", "no JSON"),
        (200, {"outputs": {"price": [1]}}, "does not tell what model it is"),
        (200, {"outputs": ["{}"]}, "no format_version"),
        (200, {"outputs": 3}, "does not tell what model it is"),
        (200, [], "answers 200"),
    ],
)
def test_what_is_no_model_is_refused(server, status, answer, message):
    server.answers = [(status, answer)]
    with pytest.raises(InputError, match=message):
        remote.connect(server.url)


@pytest.mark.parametrize("distance", [[0.5], [0.5, None], ["near", "far"], None])
def test_an_answer_that_is_none_is_refused(server, about, distance):
    server.answers = [(200, {"outputs": [about]})]
    server.answers.append((200, {"outputs": {"distance": distance}}))
    model = remote.connect(server.url)
    with pytest.raises(InputError, match="no distance for each of 2 chunks"):
        model.score([b"", b""])


def test_the_head_that_is_missing_is_named(server, about):
    # A model that tells streams, and a server that leaves out what one head says.
    heads = json.dumps(json.loads(about) | {"heads": {"visual": "own", "audio": "own"}})
    answer = {"distance": [0.5], "visual_fake_probability": [0.25]}
    server.answers = [(200, {"outputs": [heads]}), (200, {"outputs": answer})]
    model = remote.connect(server.url)
    with pytest.raises(InputError, match="no audio_fake_probability for each of 1"):
        model.score([b""])
    server.answers = [(200, {"outputs": answer | {"audio_fake_probability": [0.75]}})]
    assert {name: list(values) for name, values in model.score([b""]).items()} == {
        "distance": [0.5],
        "visual": [0.25],
        "audio": [0.75],
    }
