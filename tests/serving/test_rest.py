import asyncio
import base64
import concurrent.futures
import gzip
import json
import pathlib
import re
import tracemalloc
import types

import numpy as np
import pytest
import tensorflow as tf

from tests import tracks
from tfmds.exporting import loading
from tfmds.serving import bodies

PREDICT = "/v1/models/mds:predict"


def chunks(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "frames": rng.integers(0, 256, (n, 30, 16, 16, 3), dtype=np.uint8),
        "mfcc": rng.normal(size=(n, 13, 99)).astype(np.float32),
    }


def rows(batch):
    return [
        {"frames": frames.tolist(), "mfcc": mfcc.tolist()}
        for frames, mfcc in zip(batch["frames"], batch["mfcc"], strict=True)
    ]


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


@pytest.fixture(scope="module")
def signatures(export_dir):
    return loading.load(export_dir).signatures


def expected(signatures, batch):
    answer = signatures["serving_default"](
        **{name: tf.constant(value) for name, value in batch.items()}
    )
    return {name: value.numpy() for name, value in answer.items()}


def test_status_and_metadata_are_those_of_tensorflow_serving(service):
    status = service.client.get("/v1/models/mds").json()
    assert status["model_version_status"] == [
        {
            "version": "1",
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
    ]
    assert service.client.get("/v1/models/mds/versions/1").json() == status
    said = service.client.get("/v1/models/mds/metadata").json()
    assert said["model_spec"] == {"name": "mds", "signature_name": "", "version": "1"}
    signatures = said["metadata"]["signature_def"]["signature_def"]
    inputs = signatures["serving_default"]["inputs"]
    assert inputs["frames"]["dtype"] == "DT_UINT8"
    sizes = [dim["size"] for dim in inputs["mfcc"]["tensor_shape"]["dim"]]
    assert sizes == ["-1", "13", "99"]
    assert signatures["examples"]["inputs"]["examples"]["dtype"] == "DT_STRING"


def test_rows_and_columns_are_answered_in_kind(service, signatures):
    batch = chunks(2)
    want = expected(signatures, batch)
    done = service.client.post(PREDICT, json={"instances": rows(batch)})
    assert done.status_code == 200, done.text
    predictions = done.json()["predictions"]
    assert [set(row) for row in predictions] == [set(want)] * 2
    for name, values in want.items():
        got = [row[name] for row in predictions]
        np.testing.assert_allclose(got, values, rtol=1e-4)
    columns = {name: value.tolist() for name, value in batch.items()}
    done = service.client.post(
        "/v1/models/mds/versions/1:predict",
        json={"inputs": columns, "signature_name": "serving_default"},
    )
    np.testing.assert_allclose(
        done.json()["outputs"]["distance"], want["distance"], rtol=1e-4
    )


@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_records_are_scored_as_the_export_scores_them(service, signatures, form):
    records = [
        tracks.record(tracks.video("a"), num_frames=95, start_seconds=2.0, seed=40),
        tracks.record(tracks.video("b"), num_frames=60, seed=90),
    ]
    values = [b64(record) for record in records]
    body = {"signature_name": "examples", form: values}
    if form == "inputs":
        body[form] = {"examples": values}
    got = service.client.post(PREDICT, json=body).json()
    want = signatures["examples"](examples=tf.constant(records))
    if form == "instances":
        got["outputs"] = {
            name: [row[name] for row in got["predictions"]] for name in want
        }
    for name, value in want.items():
        np.testing.assert_allclose(got["outputs"][name], value.numpy(), rtol=1e-3)


def test_the_documents_snippet_makes_a_request_from_a_video(service, clips, capsys):
    document = pathlib.Path(__file__).parents[2] / "docs" / "export_and_serving.md"
    (snippet,) = re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL)
    for old, new in (
        ('"http://localhost:8501"', repr(service.url)),
        ('"clip.mp4"', repr(str(clips["head"]))),
    ):
        assert old in snippet
        snippet = snippet.replace(old, new)
    exec(snippet, {})
    status, *rows = capsys.readouterr().out.splitlines()
    assert status.split() == ["ok"]
    done = service.judged(clips["head"])["result"]
    chunks = done["tracks"][0]["chunks"]
    assert len(rows) == len(chunks) == 3
    for row, chunk in zip(rows, chunks, strict=True):
        start, distance = re.fullmatch(r"face 0, (.*) s: (.*)", row).groups()
        assert float(start) == chunk["start_seconds"]
        assert float(distance) == pytest.approx(chunk["distance"], abs=2e-3)


def test_requests_at_once_are_batched_and_each_gets_its_own(service, signatures):
    batches = [chunks(1 + number % 2, number) for number in range(6)]
    bodies = [json.dumps({"instances": rows(batch)}) for batch in batches]
    # One of them is wrong, which is its own affair.
    bodies.append(json.dumps({"instances": [{"frames": 1, "mfcc": 2}]}))
    with concurrent.futures.ThreadPoolExecutor(7) as pool:
        done = list(pool.map(lambda b: service.client.post(PREDICT, content=b), bodies))
    for batch, answer in zip(batches, done[:6], strict=True):
        got = [row["distance"] for row in answer.json()["predictions"]]
        np.testing.assert_allclose(
            got, expected(signatures, batch)["distance"], rtol=1e-4
        )
    assert done[6].status_code == 400
    lines = service.client.get("/metrics").text.splitlines()
    alone = next(
        line for line in lines if 'predict_batch_requests_bucket{le="1.0"}' in line
    )
    total = next(line for line in lines if "predict_batch_requests_count" in line)
    assert float(alone.split()[1]) < float(total.split()[1])


GOOD = rows(chunks(1))[0]


def changed(**values) -> dict:
    return {"instances": [{**GOOD, **values}]}


def frames_of(shape, value=0) -> list:
    return np.full(shape, value, np.int64).tolist()


BAD = {
    "not json": ("{", 400, "JSON Parse error"),
    "nothing": ("", 400, "JSON Parse error"),
    "too deep": ("[" * 100_000, 400, "JSON Parse error"),
    "a huge number": ('{"inputs": ' + "1" * 10_000 + "}", 400, "JSON Parse error"),
    "a list": ([], 400, "not a JSON object"),
    "neither": ({"x": 1}, 400, "exactly one of the keys"),
    "both": ({"instances": [GOOD], "inputs": GOOD}, 400, "exactly one of the keys"),
    "empty batch": ({"instances": []}, 400, "no values in 'instances'"),
    "empty columns": ({"inputs": {"frames": [], "mfcc": []}}, 400, "is empty"),
    "no list": ({"instances": 7}, 400, "to be a list"),
    "plain values": ({"instances": [1, 2]}, 400, "plain list"),
    "missing input": ({"inputs": {"frames": [1]}}, 400, "'mfcc'"),
    "missing key": ({"instances": [{"frames": [1]}]}, 400, "keys must be equal"),
    "mixed": ({"instances": [GOOD, 3]}, 400, "another kind"),
    "signature": (
        {"signature_name": "nope", "instances": [GOOD]},
        400,
        '"nope" not found in signature def',
    ),
    "signature type": ({"signature_name": 3, "instances": [GOOD]}, 400, "a string"),
    "ragged": (changed(mfcc=[[1, 2], [3]]), 400, "equal length"),
    "rank": (changed(mfcc=[1.0, 2.0]), 400, "expected [any, 13, 99]"),
    "shape": (changed(frames=frames_of((29, 8, 8, 3))), 400, "[1, 29, 8, 8, 3]"),
    "range": (changed(frames=frames_of((30, 8, 8, 3), 256)), 400, "outside 0 to 255"),
    "floats": (changed(frames=[[0.5]]), 400, "no whole numbers"),
    "words": (changed(mfcc=[["a"]]), 400, "no numbers"),
    "null": (changed(mfcc=[[None]]), 400, "no numbers"),
    "nan": (json.dumps(changed(mfcc=[[float("nan")]])), 400, "NaN"),
    "infinity": (json.dumps(changed(mfcc=[[1e300]])), 400, "too large"),
    "counts": (
        {"inputs": {"frames": [GOOD["frames"]] * 2, "mfcc": [GOOD["mfcc"]]}},
        400,
        "not as many",
    ),
    "no record": (
        {"signature_name": "examples", "instances": [b64(b"\xffno")]},
        400,
        "no serialized tf.train.Example",
    ),
    "empty record": (
        {"signature_name": "examples", "instances": [""]},
        400,
        "has 0 frames",
    ),
    "no base64": (
        {"signature_name": "examples", "instances": [{"b64": "%%"}]},
        400,
        "unable to base64 decode",
    ),
    "numbers for records": (
        {"signature_name": "examples", "instances": [1]},
        400,
        "no {'b64': ...} object",
    ),
    "too large": (b"[" + b" " * 21_000_000 + b"]", 413, "more than 20 MB"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_gets_a_code_and_a_sentence(service, name):
    body, code, said = BAD[name]
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    done = service.client.post(PREDICT, content=content)
    assert done.status_code == code, done.text
    assert list(done.json()) == ["error"]
    sentence = done.json()["error"]
    assert said in sentence
    assert len(sentence) < 300
    assert "Traceback" not in sentence
    assert ".py" not in sentence


def test_records_that_would_cost_too_much_or_give_nothing_are_refused(service):
    import cv2

    bomb = cv2.imencode(".jpg", np.zeros((3000, 3000, 3), np.uint8))[1].tobytes()
    plain = tf.train.Example.FromString(tracks.record(tracks.video(), num_frames=30))
    cases = []
    for text, change in (
        ("3000 x 3000", lambda f: f["frames"].bytes_list.value.__setitem__(7, bomb)),
        ("no JPEG", lambda f: f["frames"].bytes_list.value.__setitem__(7, b"no")),
        ("NaN", lambda f: f["mfcc"].float_list.value.__setitem__(7, float("nan"))),
        ("values of mfcc", lambda f: f["mfcc"].float_list.value.append(1.0)),
        ("cannot read", lambda f: f["start_seconds"].Clear()),
    ):
        example = tf.train.Example()
        example.CopyFrom(plain)
        change(example.features.feature)
        cases.append((text, example.SerializeToString()))
    for text, serialized in cases:
        body = {"signature_name": "examples", "instances": [b64(serialized)]}
        done = service.client.post(PREDICT, json=body)
        assert done.status_code == 400, text
        assert text in done.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "code", "said"),
    [
        ("POST", "/v1/models/other:predict", 404, "Latest(other)"),
        ("POST", "/v1/models/mds/versions/7:predict", 404, "Specific(mds, 7)"),
        ("GET", "/v1/models/other", 404, "Servable not found"),
        ("GET", "/v1/models/mds/versions/2/metadata", 404, "Servable not found"),
        ("POST", "/v1/models/mds:classify", 400, "Malformed request"),
        ("GET", "/v1/models/mds/versions/x", 400, "Malformed request"),
        ("POST", "/v1/models/mds", 400, "Malformed request"),
        ("GET", "/v2/models", 404, "Not Found"),
    ],
)
def test_what_there_is_not(service, method, path, code, said):
    done = service.client.request(method, path, content=b"{}")
    assert done.status_code == code, done.text
    assert said in done.json()["error"]


def test_a_body_may_be_packed(service, signatures):
    batch = chunks(1)
    body = gzip.compress(json.dumps({"instances": rows(batch)}).encode())
    want = expected(signatures, batch)["distance"]
    # Files of gzip may be appended to each other, and come in any pieces.
    half = len(body) // 2
    for content in (
        body,
        gzip.compress(b" " * 3_000_000, mtime=0) + body,
        iter([body[:7], body[7:half], body[half:]]),
    ):
        done = service.client.post(
            PREDICT, content=content, headers={"content-encoding": "gzip"}
        )
        assert done.status_code == 200, done.text
        got = done.json()["predictions"][0]["distance"]
        np.testing.assert_allclose(got, want, rtol=1e-4)


@pytest.mark.parametrize(
    ("encoding", "content", "code", "said"),
    [
        ("gzip", gzip.compress(bytes(100_000_000), mtime=0), 413, "more than 20 MB"),
        ("gzip", gzip.compress(b" " * 9_000, mtime=0)[:-9], 400, "ends in the middle"),
        ("gzip", b"", 400, "ends in the middle"),
        ("gzip", b"{}", 400, "not gzip"),
        ("br", b"{}", 415, "'br' is not known"),
        ("gzip, gzip", b"{}", 415, "is not known"),
    ],
)
def test_what_cannot_be_unpacked_is_refused(service, encoding, content, code, said):
    done = service.client.post(
        PREDICT, content=content, headers={"content-encoding": encoding}
    )
    assert done.status_code == code, done.text
    assert said in done.json()["error"]


def test_a_bomb_is_never_unpacked_whole():
    """What is held at a time stays small, whatever it would become."""
    packed = gzip.compress(bytes(200_000_000), mtime=0)

    async def stream():
        yield packed

    request = types.SimpleNamespace(headers={"content-encoding": "gzip"}, stream=stream)

    async def read():
        with pytest.raises(bodies.Refused, match="more than 5 MB"):
            await bodies.read(request, 5_000_000)

    tracemalloc.start()
    asyncio.run(read())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000
