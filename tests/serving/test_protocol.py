"""What load balancers, proxies, players and scripts expect of any service."""

import json
import logging
import socket

import httpx
import pytest

from tests.serving.conftest import MP4, wait_until
from tfmds.common.errors import InputError
from tfmds.serving import log
from tfmds.serving.config import ServingConfig


@pytest.fixture
def lines(caplog):
    """What is logged, as it is written."""
    caplog.set_level(logging.INFO, "tfmds.serving")
    formatter = log._Lines()

    def read(event):
        found = [json.loads(formatter.format(record)) for record in caplog.records]
        return [line for line in found if line["event"] == event]

    return read


def test_head_is_answered_as_get_without_its_body(stub_service):
    service = stub_service()
    done = service.finished(service.upload(MP4, "good").json()["id"])
    base = f"/v1/videos/{done['id']}"
    paths = ["/", "/healthz", "/readyz", "/metrics", "/static/page.css", "/v1/service"]
    paths += ["/v1/models/mds", "/v1/models/mds/metadata", "/docs", "/openapi.json"]
    paths += [base, f"{base}/video", f"{base}/result", f"{base}/events"]
    paths += ["/nothing", "/v1/videos/none", "/v1/models/other"]
    for path in paths:
        got, head = service.client.get(path), service.client.head(path)
        assert head.status_code == got.status_code, path
        assert head.content == b""
        assert head.headers["content-type"] == got.headers["content-type"]
        if "content-length" in got.headers and path != "/metrics":
            assert head.headers["content-length"] == got.headers["content-length"]
    running = service.upload(MP4, "wait").json()["id"]
    wait_until(lambda: service.state(running)["state"] == "running")
    # Of events that have no end.
    answer = service.client.head(f"/v1/videos/{running}/events", timeout=5)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert service.client.delete(f"/v1/videos/{running}").status_code == 204
    assert 'method="HEAD"' in service.client.get("/metrics").text


def test_probes_of_load_balancers_are_answered(stub_service):
    service = stub_service()
    address = service.url.removeprefix("http://").split(":")
    # HAProxy asks so where it is told nothing else.
    for asked, code in (
        (b"OPTIONS / HTTP/1.0\r\n\r\n", b"204"),
        (b"HEAD /healthz HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /readyz HTTP/1.1\r\nHost: 10.1.2.3:80\r\n\r\n", b"200"),
    ):
        with socket.create_connection((address[0], int(address[1]))) as s:
            s.sendall(asked)
            assert s.recv(4096).split()[1] == code
    answer = service.client.options("/healthz")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert answer.content == b""
    assert service.client.options("/nothing").status_code == 404


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("filename*=UTF-8''%C3%A4%20b.mp4", "ä b.mp4"),
        ("filename=\"ä.mp4\"; filename*=UTF-8''x.mp4", "ä.mp4"),
        ("filename=plain.mp4", "plain.mp4"),
    ],
)
def test_a_file_of_a_form_is_called_as_its_client_says(service, disposition, name):
    head = f"--x\r\nContent-Disposition: form-data; name=f; {disposition}\r\n\r\n"
    answer = service.client.post(
        "/v1/videos",
        content=head.encode() + MP4 + b"\r\n--x--\r\n",
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code == 202, answer.text
    assert answer.json()["name"] == name


@pytest.mark.parametrize(
    ("asked", "code", "size"),
    [
        ("bytes=4-7", 206, 4),
        ("bytes=-5", 206, 5),
        ("Bytes = 4-7", 200, len(MP4)),
        ("bytes=600-", 206, len(MP4) - 600),
        ("bytes=0-1000000", 206, len(MP4)),
        ("bytes=7-4", 200, len(MP4)),
        ("bytes=a-b", 200, len(MP4)),
        ("bytes=", 200, len(MP4)),
        ("bytes=-", 200, len(MP4)),
        ("bytes 4-7", 200, len(MP4)),
        ("seconds=1-2", 200, len(MP4)),
        ("bytes=0-1,7-4", 200, len(MP4)),
        ("", 200, len(MP4)),
    ],
)
def test_a_range_that_is_none_is_ignored(service, asked, code, size):
    done = service.finished(service.upload(MP4).json()["id"])
    path = f"/v1/videos/{done['id']}/video"
    answer = service.client.get(path, headers={"range": asked})
    assert (answer.status_code, len(answer.content)) == (code, size)
    whole = answer.content if code == 200 else None
    assert whole in (None, MP4)


def test_every_error_is_an_object_with_a_sentence(service):
    done = service.finished(service.upload(MP4).json()["id"])
    path = f"/v1/videos/{done['id']}/video"
    answers = {
        404: service.client.get("/static/nothing"),
        405: service.client.patch("/v1/videos"),
        416: service.client.get(path, headers={"range": "bytes=9999-"}),
        400: service.client.get("/v1/videos", params={"limit": "x"}),
        403: service.client.get("/v1/videos"),
    }
    for code, answer in answers.items():
        assert answer.status_code == code
        assert answer.headers["content-type"] == "application/json"
        (sentence,) = answer.json().values()
        assert list(answer.json()) == ["error"]
        assert sentence
    assert answers[405].headers["allow"]
    assert answers[416].headers["content-range"] == f"*/{len(MP4)}" or (
        answers[416].headers["content-range"] == f"bytes */{len(MP4)}"
    )


def test_of_two_files_in_a_form_none_is_lost(service):
    files = [("a", ("1.mp4", MP4)), ("b", ("2.mp4", MP4))]
    answer = service.client.post("/v1/videos", files=files)
    assert answer.status_code == 400
    assert "more than one file" in answer.json()["error"]
    # A field of a page that was left empty is no file.
    body = (
        b'--x\r\nContent-Disposition: form-data; name=a; filename=""\r\n\r\n\r\n'
        b'--x\r\nContent-Disposition: form-data; name=b; filename="v.mp4"\r\n\r\n'
        + MP4
        + b"\r\n--x--\r\n"
    )
    kind = {"content-type": "multipart/form-data; boundary=x"}
    answer = service.client.post("/v1/videos", content=body, headers=kind)
    assert answer.status_code == 202, answer.text
    assert answer.json()["name"] == "v.mp4"
    assert answer.json()["size"] == len(MP4)


@pytest.mark.parametrize("is_cut", [True, False])
def test_behind_a_path_all_links_lead_below_it(stub_service, is_cut):
    # Proxies take the path away, or leave it.
    service = stub_service(root_path="/tfmds", token="secret")
    before = "" if is_cut else "/tfmds"
    known = {"authorization": "Bearer secret"}
    client = httpx.Client(base_url=service.url, headers=known, follow_redirects=False)
    page = client.get(f"{before}/")
    assert page.status_code == 200
    for attribute in ('href="/', 'src="/', "fetch(`/", 'fetch("/'):
        assert attribute not in page.text
        assert attribute not in client.get(f"{before}/static/page.js").text
        assert attribute not in client.get(f"{before}/docs").text
    sent = client.post(f"{before}/v1/videos?name=good", content=MP4)
    assert sent.status_code == 202
    assert sent.headers["location"] == f"/tfmds/v1/videos/{sent.json()['id']}"
    # As a client sees it that follows the link, whichever proxy there is.
    wait_until(lambda: client.get(sent.headers["location"]).json()["state"] == "done")
    session = client.post(f"{before}/v1/session")
    assert "Path=/tfmds" in session.headers["set-cookie"]
    servers = client.get(f"{before}/openapi.json").json()["servers"]
    assert servers == [{"url": "/tfmds"}]
    without = client.get("/tfmds")
    assert (without.status_code, without.headers["location"]) == (307, "/tfmds/")
    client.close()


def test_a_path_that_is_none_is_refused():
    for path in ("tfmds", "/tfmds/", "/a b", "/../x\n"):
        with pytest.raises(InputError, match="--root_path"):
            ServingConfig(root_path=path)


def test_addresses_are_no_names_and_a_name_is_allowed_by_a_flag(stub_service):
    service = stub_service(allowed_hosts=("tfmds.example",))
    for host in ("10.1.2.3:8501", "10.1.2.3", "[fd00::1]:8501", "tfmds.example"):
        assert service.client.get("/healthz", headers={"host": host}).status_code == 200
    for host in ("evil.example", "10.1.2.3.evil.example", "1.2.3"):
        answer = service.client.get("/healthz", headers={"host": host})
        assert answer.status_code == 400
        assert host in answer.json()["error"]
        assert "--allowed_hosts" in answer.json()["error"]


def test_requests_and_ends_of_videos_are_logged_and_counted(stub_service, lines):
    service = stub_service()
    ids = [service.upload(MP4, name).json()["id"] for name in ("good", "fail")]
    for job_id in ids:
        service.finished(job_id)
    service.client.get("/healthz")
    service.client.get("/nowhere?token=x", headers={"x-secret": "y"})
    wait_until(lambda: len(lines("job")) == 2)
    # A line is written when its answer was sent.
    wait_until(lambda: 404 in [line["status"] for line in lines("request")])
    good, failed = lines("job")
    assert good["job"] == ids[0][:8]
    assert (good["end"], failed["end"]) == ("done", "failed")
    assert failed["error"] == "it is too long"
    assert good["bytes"] == len(MP4)
    assert good["seconds"] >= 0
    requests = lines("request")
    uploads = [line for line in requests if line["method"] == "POST"]
    assert [(line["route"], line["status"]) for line in uploads] == [
        ("/v1/videos", 202)
    ] * 2
    asked = {line["job"] for line in requests if "job" in line}
    assert asked == {job_id[:8] for job_id in ids}
    assert {line["client"] for line in requests} == {"127.0.0.1"}
    assert "/healthz" not in {line["route"] for line in requests}
    for line in (*requests, good, failed):
        text = json.dumps(line)
        # Who knows these may see the video.
        assert not any(job_id in text for job_id in ids)
        assert "good" not in text
        assert "token" not in text
    figures = service.client.get("/metrics").text
    assert 'tfmds_jobs_total{end="done"} 1.0' in figures


def test_a_done_video_is_counted_by_its_status(service, clips):
    service.judged(clips["mute"])
    figures = service.client.get("/metrics").text
    assert 'tfmds_results_total{status="no_audio"}' in figures


def test_jobs_are_listed_for_who_has_the_token(stub_service):
    service = stub_service(token="secret")
    known = {"authorization": "Bearer secret"}
    ids = [
        service.upload(MP4, name, headers=known).json()["id"]
        for name in ("good", "fail", "good")
    ]

    def listing(**params):
        answer = service.client.get("/v1/videos", params=params, headers=known)
        assert answer.status_code == 200, answer.text
        return answer.json()

    wait_until(lambda: listing(state="done")["count"] == 2)
    wait_until(lambda: listing(state="failed")["count"] == 1)
    found = listing()
    assert found["count"] == 3
    assert [video["id"] for video in found["videos"]] == ids[::-1]
    assert all("result" not in video for video in found["videos"])
    assert listing(limit=1)["videos"] == found["videos"][:1]
    (failed,) = listing(state="failed")["videos"]
    assert failed["error"] == "it is too long"
    assert service.client.get("/v1/videos").status_code == 401


def test_openapi_names_what_there_is(service):
    document = service.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    paths = document["paths"]
    assert {"get", "post"} == set(paths["/v1/videos"])
    assert "post" in paths["/v1/models/{model}:predict"]
    assert "/v1/videos/{job_id}/result" in paths
    for operations in paths.values():
        for operation in operations.values():
            assert operation["description"]
            error = operation["responses"]["default"]["content"]["application/json"]
            assert error["schema"]["required"] == ["error"]
    page = service.client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path in paths:
        assert path in page.text
    assert "http" not in page.text.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("host", "token", "is_warned"),
    [
        ("127.0.0.1", "", False),
        ("::1", "", False),
        ("localhost", "", False),
        ("0.0.0.0", "", True),
        ("::", "", True),
        ("0.0.0.0", "secret", False),
    ],
)
def test_a_service_that_all_may_ask_says_so(capsys, host, token, is_warned):
    ServingConfig(token=token).warn_of_strangers(host)
    assert ("without a token" in capsys.readouterr().err) == is_warned
