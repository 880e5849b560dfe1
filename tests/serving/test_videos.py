import contextlib
import gzip
import hashlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import httpx
import numpy as np
import psutil
import pytest

from tests import media
from tests.conftest import assert_refused, run_program
from tests.serving.conftest import MP4, wait_until
from tfmds import serve
from tfmds.common.errors import InputError
from tfmds.detection import judgement_json, judging
from tfmds.exporting import loading
from tfmds.serving import content, jobs, process, uploads
from tfmds.serving.jobs import Jobs


def test_an_upload_becomes_what_detect_says(service, clips, export_dir):
    answer = service.upload(clips["head"], name="C:\\clips\\a \u202eb.mp4")
    assert answer.status_code == 202
    said = answer.json()
    assert answer.headers["location"] == f"/v1/videos/{said['id']}"
    assert said["name"] == "a b.mp4"
    done = service.finished(said["id"])
    assert done["state"] == "done"
    want = judgement_json.write(
        judging.judge(loading.load(export_dir), str(clips["head"]))
    )
    assert set(done["result"]) == set(want)
    assert done["result"]["mds"] == pytest.approx(want["mds"], rel=1e-3)
    assert done["result"]["path"] == "a b.mp4"

    client, base = service.client, f"/v1/videos/{said['id']}"
    assert client.get(f"{base}/result").json() == done["result"]
    report = client.get(f"{base}/report")
    assert "evidence, not proof" in report.text
    assert said["sha256"] in report.text
    assert "sandbox" in report.headers["content-security-policy"]
    details = client.get(f"{base}/details").json()
    assert details["result"] == done["result"]
    assert len(details["tracks"][0]["faces"]) == 3
    part = client.get(f"{base}/video", headers={"range": "bytes=4-7"})
    assert part.status_code == 206
    assert part.content == b"ftyp"
    assert part.headers["content-type"] == "video/mp4"
    # Where it lies on this machine is nobody's business.
    for text in (report.text, json.dumps(details), answer.text):
        assert service.settings.data_dir not in text

    assert client.delete(base).status_code == 204
    for gone in (base, f"{base}/video", f"{base}/events"):
        assert client.get(gone).status_code == 404
    assert not (
        pathlib.Path(service.settings.data_dir) / "videos" / said["id"]
    ).exists()


def test_a_form_is_taken_and_events_tell_how_far_it_is(service, clips):
    files = {"note": (None, "x"), "file": ("b.txt", clips["head"].read_bytes())}
    answer = service.client.post("/v1/videos", files=files)
    assert answer.status_code == 202, answer.text
    assert answer.json()["name"] == "b.txt"
    states = []
    url = f"/v1/videos/{answer.json()['id']}/events"
    with service.client.stream("GET", url) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                states.append(json.loads(line.removeprefix("data: ")))
    assert states[-1]["state"] == "done"
    assert states[-1]["result"]["status"] == "ok"
    progress = [state["progress"] for state in states]
    assert progress == sorted(progress)
    assert any(0 < p < 1 for p in progress)


def test_an_upload_may_be_packed(service, clips):
    content = clips["mute"].read_bytes()
    packed = {"content-encoding": "gzip"}
    answer = service.upload(gzip.compress(content), headers=packed)
    assert answer.status_code == 202, answer.text
    assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()
    answer = service.upload(gzip.compress(MP4 + bytes(50_000_000)), headers=packed)
    assert answer.status_code == 413
    assert "larger than 5 MB" in answer.json()["error"]
    answer = service.upload(MP4, headers={"content-encoding": "br"})
    assert answer.status_code == 415


def test_a_folder_of_other_files_is_not_taken(tmp_path):
    holiday = tmp_path / "videos" / "holiday" / "a.mp4"
    holiday.parent.mkdir(parents=True)
    holiday.write_text("sea")
    tmp_path.chmod(0o755)
    with pytest.raises(InputError, match=r"not of tfmds\.serve, such as videos"):
        Jobs(str(tmp_path))
    assert holiday.read_text() == "sea"
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["videos"]


def test_a_folder_of_its_own_is_taken_again_and_broken_uploads_go(tmp_path):
    Jobs(str(tmp_path / "new")).close()
    (tmp_path / "new" / "videos" / "broken").mkdir(parents=True)
    Jobs(str(tmp_path / "new")).close()
    assert not list((tmp_path / "new" / "videos").iterdir())
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_the_address_that_is_told_is_the_one_that_is_listened_on():
    with serve.listen(serve.ServeConfig(port=0)) as listener:
        port = listener.getsockname()[1]
        assert port
        socket.create_connection(("127.0.0.1", port)).close()
        with pytest.raises(InputError, match=f"--port={port}: .*in use"):
            serve.listen(serve.ServeConfig(port=port))
    with pytest.raises(InputError, match="--host=192.0.2.1"):
        serve.listen(serve.ServeConfig(host="192.0.2.1"))


@pytest.mark.parametrize(
    ("clip", "status", "said"),
    [
        ("mute", "no_audio", "The video has no sound"),
        ("empty room", "no_face", "No face was in view"),
        ("short", "too_short", "whole second"),
    ],
)
def test_a_video_that_cannot_be_judged_says_why(service, clips, clip, status, said):
    done = service.judged(clips[clip])
    assert done["result"]["status"] == status
    details = service.client.get(f"/v1/videos/{done['id']}/details").json()
    assert "Not judged" in details["verdict"]
    assert said in details["verdict"]


def test_a_damaged_file_has_a_status(service):
    done = service.finished(service.upload(MP4).json()["id"])
    assert done["result"]["status"] == "decode_error"


def test_videos_beyond_the_limits_fail_with_a_sentence(service, clips, tmp_path):
    done = service.judged(clips["long"])
    assert done["state"] == "failed"
    assert "longer than 20 seconds" in done["error"]
    # Few bytes, a large picture.
    room = np.zeros((900, 1200, 3), np.uint8)
    path = media.write_video(tmp_path / "a.mp4", [room] * 3)
    done = service.judged(path)
    assert done["state"] == "failed"
    assert "1200 x 900 pixels" in done["error"]
    answer = service.client.get(f"/v1/videos/{done['id']}/report")
    assert answer.status_code == 409


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        (b"", 400, "empty"),
        (b"no video" * 200, 415, "not a video"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 415, "not a video"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", 415, "not a video"),
        (MP4 + bytes(6_000_000), 413, "larger than 5 MB"),
        (iter([MP4, *[bytes(1_000_000)] * 6]), 413, "larger than 5 MB"),
    ],
)
def test_what_is_no_video_or_too_large_is_refused(service, sent, code, said):
    before = set(pathlib.Path(service.settings.data_dir, "videos").iterdir())
    answer = service.upload(sent)
    assert answer.status_code == code, answer.text
    assert said in answer.json()["error"]
    assert set(pathlib.Path(service.settings.data_dir, "videos").iterdir()) == before


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--", "no file"),
        (b"--y\r\n", "cannot be read"),
        (b"", "no file"),
        (
            b'--x\r\nContent-Disposition: form-data; name=a; filename="v"\r\n\r\n'
            + MP4,
            "ends before its end",
        ),
    ],
)
def test_a_form_without_a_file_is_refused(service, body, said):
    answer = service.client.post(
        "/v1/videos",
        content=body,
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@pytest.mark.parametrize("job_id", ["x", "A" * 22, "..%2f..%2fetc", "a" * 5000])
def test_a_video_that_there_is_not(service, job_id):
    for rest in ("", "/result", "/report", "/video", "/events"):
        answer = service.client.get(f"/v1/videos/{job_id}{rest}")
        assert answer.status_code == 404
        assert set(answer.json()) == {"error"}


def test_what_a_file_is_follows_from_its_content(clips):
    assert content.video_type(clips["head"].read_bytes()[:512]) == "video/mp4"
    assert content.video_type(b"\x1a\x45\xdf\xa3" + b"\x42\x82webm") == "video/webm"
    assert content.video_type((b"G" + bytes(187)) * 3) == "video/mp2t"
    assert content.video_type(b"G" * 10) is None
    assert content.video_type(b"RIFF\0\0\0\0WAVE") is None
    assert uploads.clean_name("../../etc/pass\0wd") == "passwd"
    assert uploads.clean_name("..\n") == ".."
    assert uploads.clean_name("") == "video"


def test_a_crash_and_a_hang_take_one_job_with_them(stub_service, monkeypatch):
    monkeypatch.setattr(process, "_STOP_SECONDS", 0.2)
    service = stub_service(max_job_seconds=1)
    names = ("crash", "hang", "garbage", "fail", "unlucky", "good")
    ids = [service.upload(MP4, name).json()["id"] for name in names]
    crash, hang, garbage, fail, *good = map(service.finished, ids)
    assert "crashed" in crash["error"]
    assert "longer than 1 seconds" in hang["error"]
    assert "crashed" in garbage["error"]
    assert fail["error"] == "it is too long"
    assert [job["state"] for job in good] == ["done", "done"]
    figures = service.client.get("/metrics").text
    assert 'tfmds_jobs_total{end="failed"} 4.0' in figures
    # At first and after each loss; who was at work then has three turns.
    assert "tfmds_worker_starts 9.0" in figures


def test_beyond_the_queue_there_is_503_and_a_time_to_come_back(stub_service):
    service = stub_service(max_queued=2)
    first = service.upload(MP4, "wait").json()["id"]
    # A worker tells 0 as it begins, then how far it is.
    wait_until(lambda: service.state(first)["progress"] == 0.5)
    assert service.state(first)["state"] == "running"
    others = [service.upload(MP4, "good").json() for _ in range(2)]
    assert [other["before"] for other in others] == [0, 1]
    refused = service.upload(MP4, "good")
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert "too many videos wait" in refused.json()["error"]
    # A job at work can be taken back; the next has its turn.
    assert service.client.delete(f"/v1/videos/{first}").status_code == 204
    assert [service.finished(other["id"])["state"] for other in others] == ["done"] * 2
    assert service.client.get(f"/v1/videos/{first}").status_code == 404


def test_an_address_that_asks_too_often_waits(stub_service):
    service = stub_service(uploads_per_minute=2)
    codes = [service.upload(MP4).status_code for _ in range(3)]
    assert codes == [202, 202, 429]


def test_results_are_deleted_after_their_time(stub_service, tmp_path):
    service = stub_service(keep_hours=1 / 3600)
    job_id = service.finished(service.upload(MP4).json()["id"])["id"]
    gone = f"/v1/videos/{job_id}"
    wait_until(lambda: service.client.get(gone).status_code == 404)
    assert "after" in service.client.get(gone).json()["error"]
    assert not list((tmp_path / "videos").iterdir())


def test_a_token_is_asked_for(stub_service):
    service = stub_service(token="secret")
    client = service.client
    assert client.get("/").status_code == 200
    assert client.get("/healthz").status_code == 200
    assert client.get("/v1/service").json()["is_known"] is False
    for path in ("/v1/videos/x", "/v1/models/mds", "/metrics"):
        assert client.get(path).status_code == 401
        wrong = {"authorization": "Bearer secrets"}
        assert client.get(path, headers=wrong).status_code == 401
    assert service.upload(MP4).status_code == 401
    right = {"authorization": "Bearer secret"}
    assert client.get("/metrics", headers=right).status_code == 200
    assert service.upload(MP4, headers=right).status_code == 202
    # A browser trades it for a cookie.
    assert client.post("/v1/session").status_code == 401
    answer = client.post("/v1/session", headers=right)
    assert answer.status_code == 204
    assert "secret" not in answer.headers["set-cookie"]
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert client.get("/v1/service").json()["is_known"] is True
    assert service.upload(MP4).status_code == 202


def test_other_web_sites_and_names_are_refused(stub_service):
    client = stub_service().client
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    cross = {"sec-fetch-site": "cross-site"}
    assert client.post("/v1/videos", headers=cross).status_code == 403
    for answer in (client.get("/"), client.get("/nothing"), client.get("/static/x")):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers
    assert client.get("/nothing").json() == {"error": "Not Found"}
    assert client.get("/static/../service.py").status_code == 404
    assert client.get("/static/%2e%2e/service.py").status_code == 404


def test_jobs_outlive_the_service(tmp_path):
    table = Jobs(str(tmp_path))
    with pytest.raises(InputError, match="another service uses this folder"):
        Jobs(str(tmp_path))
    received = uploads.Upload("a.mp4", 3, "d", "video/mp4")
    for name in "abc":
        table.folder(name).mkdir(parents=True)
        table.add(name, received)
    table.folder("broken off").mkdir()
    # What a killed service left of a job that it deleted.
    half = table.folder(".d.removed-0123abcd")
    half.mkdir()
    (half / jobs.UPLOAD_FILE).touch()
    assert table.claim().id == "a"
    table.finish("a")
    assert table.claim().id == "b"
    table.close()
    for attempt in (2, 3):
        table = Jobs(str(tmp_path))
        assert not half.exists()
        assert table.get("a").state == jobs.DONE
        claimed = table.claim()
        assert (claimed.id, claimed.attempts) == ("b", attempt)
        table.close()
    # Whatever it is, three times is enough.
    table = Jobs(str(tmp_path))
    assert table.get("b").state == jobs.FAILED
    assert table.claim().id == "c"
    assert table.claim() is None
    assert not table.folder("broken off").exists()
    table.close()


# The program with the stub for its workers.
PROGRAM = """
import runpy, sys
from tfmds.serving import process
process.PROGRAM = (sys.argv.pop(1),)
runpy.run_module("tfmds.serve", run_name="__main__", alter_sys=True)
"""


@contextlib.contextmanager
def program(export_dir, data_dir):
    """`python -m tfmds.serve` as a user starts it."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    stub = pathlib.Path(__file__).parent / "stub_worker.py"
    words = [f"--model={export_dir}", f"--data_dir={data_dir}", f"--port={port}"]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(stub), *words],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(stub.parents[2])},
        text=True,
    )
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}")

    def is_ready():
        assert process.poll() is None
        with contextlib.suppress(httpx.TransportError):
            return client.get("/readyz").status_code == 200

    try:
        wait_until(is_ready)
        yield process, client
    finally:
        client.close()
        process.kill()
        process.wait()


def test_no_job_is_lost_or_doubled_when_the_service_is_killed(export_dir, tmp_path):
    def states():
        return [client.get(f"/v1/videos/{i}").json() for i in ids]

    with program(export_dir, tmp_path) as (process, client):
        ids = [
            client.post("/v1/videos", params={"name": name}, content=MP4).json()["id"]
            for name in ("good", "wait", "good")
        ]
        wait_until(lambda: states()[1]["state"] == "running")
        before = states()
        assert [state["state"] for state in before] == ["done", "running", "queued"]
        process.send_signal(signal.SIGKILL)
        process.wait()
    with program(export_dir, tmp_path) as (process, client):
        wait_until(lambda: states()[1]["state"] == "running")
        (tmp_path / "videos" / ids[1] / "go").touch()
        wait_until(lambda: states()[2]["state"] == "done")
        assert states()[0] == before[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert "Traceback" not in process.stderr.read()
    table = Jobs(str(tmp_path))
    assert [table.get(i).attempts for i in ids] == [1, 2, 1]
    table.close()


def test_the_program_refuses_a_model_that_is_none(tmp_path):
    done = run_program("tfmds.serve", f"--model={tmp_path}", f"--data_dir={tmp_path}/d")
    assert_refused(done, "not an exported model")


def test_a_reader_that_is_killed_costs_its_video_only(service, clips):
    service.judged(clips["mute"])
    pid = service.app.state.worker._process.pid
    (reader,) = psutil.Process(pid).children()
    reader.suspend()
    job_id = service.upload(clips["head"]).json()["id"]
    wait_until(lambda: service.state(job_id)["state"] == "running")
    reader.kill()
    done = service.finished(job_id)
    assert done["result"]["status"] == "decode_error"
    assert "was killed (SIGKILL)" in done["result"]["reason"]
    assert service.judged(clips["head"])["result"]["status"] == "ok"
    assert service.app.state.worker._process.pid == pid


def test_a_video_that_is_deleted_at_work_lets_the_next_begin(service, clips):
    worker = service.app.state.worker
    process, number = worker._process, worker.num_started
    job_id = service.upload(clips["head"]).json()["id"]
    wait_until(lambda: service.state(job_id)["state"] == "running")
    assert service.client.delete(f"/v1/videos/{job_id}").status_code == 204
    assert service.judged(clips["head"])["state"] == "done"
    assert (worker._process, worker.num_started) == (process, number)
    assert not pathlib.Path(service.settings.data_dir, "videos", job_id).exists()


def test_workers_that_end_are_replaced(service, clips):
    worker = service.app.state.worker
    process, number = worker._process, worker.num_started
    job_id = service.upload(clips["head"]).json()["id"]
    wait_until(lambda: service.state(job_id)["state"] == "running")
    readers = psutil.Process(process.pid).children()
    # What the kernel does to the socket when the service is killed: a worker whose
    # service is gone ends, also in the middle of a video, and so do its readers.
    service.call(worker._writer.close)
    wait_until(lambda: process.returncode is not None)
    assert readers
    wait_until(lambda: not any(reader.is_running() for reader in readers))
    # The video has another turn.
    assert service.finished(job_id)["state"] == "done"
    service.call(worker.kill)
    wait_until(lambda: not worker.ready.is_set())
    answer = service.client.post("/v1/models/mds:predict", content=b"{}")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert service.client.get("/readyz").status_code == 503
    wait_until(lambda: service.client.get("/readyz").status_code == 200)
    assert worker.num_started == number + 2
    answer = service.client.post("/v1/models/mds:predict", content=b"{}")
    assert answer.status_code == 400
    assert service.judged(clips["head"])["state"] == "done"
