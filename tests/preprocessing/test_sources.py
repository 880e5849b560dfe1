import os
import zipfile

import pytest

from tests import media as make
from tfmds import spec
from tfmds.preprocessing import sources
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.tracks import TrackReader


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "Part_00.ZIP"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("below/x.mp4", b"content" * 100)
    return path


def test_a_member_is_a_file_for_as_long_as_it_is_needed(archive):
    with sources.local_file(archive / "below" / "x.mp4", 10**6) as path:
        assert path.endswith(".mp4")
        with open(path, "rb") as f:
            assert f.read() == b"content" * 100
    assert not os.path.exists(path)


def test_a_file_of_its_own_is_not_copied(tmp_path):
    (tmp_path / "a.zip").mkdir()
    (tmp_path / "a.zip" / "x.mp4").touch()
    path = str(tmp_path / "a.zip" / "x.mp4")
    with sources.local_file(path, 1) as found:
        assert found == path


def test_what_is_there_is_told(archive, tmp_path):
    (tmp_path / "b.zip").write_bytes(b"no archive")
    assert sources.exists(archive / "below/x.mp4")
    assert not sources.exists(archive / "x.mp4")
    assert not sources.exists(tmp_path / "b.zip" / "x.mp4")
    assert not sources.exists(tmp_path / "c.zip" / "x.mp4")


def status_of(path):
    reader = TrackReader(path)
    assert not list(reader)
    return reader.summary


def test_a_video_in_an_archive_is_read_as_one_beside_it(tmp_path):
    video = make.write_video(tmp_path / "mute.mp4", [make.talking_head()] * 5)
    with zipfile.ZipFile(tmp_path / "part.zip", "w") as packed:
        packed.write(video, "mute.mp4")
    assert status_of(tmp_path / "part.zip" / "mute.mp4") == status_of(video)


def test_a_member_that_is_too_large_is_not_unpacked(archive):
    reader = TrackReader(
        archive / "below" / "x.mp4", PreprocessingConfig(max_video_bytes=699)
    )
    assert not list(reader)
    assert reader.summary.status == spec.OVER_LIMIT
    assert "more than 699 bytes" in reader.summary.reason


def test_what_cannot_be_taken_out_gets_a_status(archive):
    assert "no such file" in status_of(archive / "y.mp4").reason
    content = bytearray(archive.read_bytes())
    content[45] ^= 255
    archive.write_bytes(content)
    summary = status_of(archive / "below" / "x.mp4")
    assert summary.status == spec.DECODE_ERROR
    assert "archive" in summary.reason
