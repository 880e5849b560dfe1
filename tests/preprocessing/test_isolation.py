import concurrent.futures
import gc
import os
import socket

import av
import pytest

from tests import media as make
from tests.faults import faulty  # noqa: F401
from tfmds import spec
from tfmds.preprocessing import isolation, processes, tracks
from tfmds.preprocessing.config import PreprocessingConfig


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    path = tmp_path_factory.mktemp("head") / "v.mp4"
    return make.write_video(path, [make.talking_head()] * 75, 30, make.tone(2.5))


def read(reader):
    return [segment.to_bytes() for segment in reader], reader.summary


def test_a_process_of_its_own_finds_the_same(head):
    seconds = []
    options = PreprocessingConfig(max_record_seconds=1)
    isolated = isolation.IsolatedTrackReader(head, options, on_progress=seconds.append)
    segments, summary = read(isolated)
    assert len(segments) == 2
    expected, its_summary = read(tracks.TrackReader(head, options))
    assert (len(segments), summary) == (len(expected), its_summary)
    assert seconds == sorted(seconds)
    assert seconds[-1] == pytest.approx(2.5)


def test_a_video_may_take_only_so_long(head):
    segments, summary = read(isolation.IsolatedTrackReader(head, max_seconds=0))
    assert (segments, summary.status) == ([], spec.OVER_LIMIT)
    assert "longer than" in summary.reason


@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [("exit", "ended with exit code 3"), ("memory", "MemoryError")],
)
def test_a_fault_costs_one_video(head, tmp_path, fault, reason):
    path = tmp_path / f"{fault}.mp4"
    os.link(head, path)
    segments, summary = read(isolation.IsolatedTrackReader(path))
    assert (segments, summary.status) == ([], spec.DECODE_ERROR)
    assert reason in summary.reason


@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize(
    ("fault", "seconds", "status", "reason"),
    [
        ("killed", 300, spec.DECODE_ERROR, "was killed (SIGKILL)"),
        ("nonsense", 300, spec.DECODE_ERROR, "sent what nobody understands"),
        ("stopped", 10, spec.OVER_LIMIT, "made no headway for 10 s"),
    ],
)
def test_a_process_that_ends_while_it_hands_over_has_handed_over_nothing(
    head, tmp_path, fault, seconds, status, reason
):
    path = tmp_path / f"{fault} handing over.mp4"
    os.link(head, path)
    options = PreprocessingConfig(max_record_seconds=1, video_timeout_seconds=seconds)
    segments, summary = read(isolation.IsolatedTrackReader(path, options))
    assert (segments, summary.status) == ([], status)
    assert reason in summary.reason
    segments, summary = read(isolation.IsolatedTrackReader(head))
    assert (len(segments), summary.status) == (1, spec.OK)


def test_a_process_that_is_killed_before_it_begins_is_replaced(head):
    processes.close_all()
    processes.start(2, 0)
    for process in processes._idle:
        process.kill()
    segments, summary = read(isolation.IsolatedTrackReader(head))
    assert (len(segments), summary.status) == (1, spec.OK)


@pytest.mark.usefixtures("faulty")
def test_a_video_that_needs_more_memory_than_allowed_is_over_a_limit(head, tmp_path):
    path = tmp_path / "memory.mp4"
    os.link(head, path)
    options = PreprocessingConfig(max_memory_mb=4000)
    segments, summary = read(isolation.IsolatedTrackReader(path, options))
    assert (segments, summary.status) == ([], spec.OVER_LIMIT)
    assert "4000 MB (max_memory_mb)" in summary.reason


def test_another_thread_stops_the_reading(head):
    reader = isolation.IsolatedTrackReader(head, on_progress=lambda _: reader.stop())
    segments, summary = read(reader)
    assert (segments, summary.status) == ([], spec.DECODE_ERROR)


def test_what_the_file_states_is_told_before_anything_is_decoded(head):
    told = []
    reader = isolation.IsolatedTrackReader(
        head, on_opened=told.append, on_progress=told.append, max_seconds=60
    )
    read(reader)
    assert (told[0].width, told[0].height) == (320, 240)
    assert told[0].seconds == pytest.approx(2.5, abs=0.1)
    assert told[1:] == sorted(told[1:])


def test_nothing_of_a_video_is_kept_when_it_was_read(head):
    ours, theirs = socket.socketpair()
    request = isolation.IsolatedTrackReader(head)._request
    found = []
    gc.collect()
    gc.disable()
    try:
        with ours, concurrent.futures.ThreadPoolExecutor(1) as pool:
            with theirs:
                told = pool.submit(lambda: list(iter(lambda: ours.recv(1 << 20), b"")))
                isolation._serve_one(theirs, request)
            assert b"summary" in b"".join(told.result())
        found = [o for o in gc.get_objects() if isinstance(o, av.VideoFrame)]
    finally:
        gc.enable()
    assert not found
