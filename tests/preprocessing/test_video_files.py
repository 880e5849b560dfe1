"""What is taken for a video where a folder is looked through."""

import os
import pathlib

import pytest

from tests import media as make
from tests.preprocessing.test_media import DARK
from tfmds.preprocessing import video_files


@pytest.mark.parametrize(
    ("name", "codec", "sound_codec"),
    [
        ("v.mp4", "libx264", "aac"),
        ("v.mov", "libx264", "pcm_s16le"),
        ("v.mkv", "libx264", "flac"),
        ("v.avi", "mpeg4", "mp2"),
        ("v.flv", "flv", "libmp3lame"),
        ("v.ts", "libx264", "aac"),
        ("v.m2ts", "libx264", "ac3"),
        ("v.mpg", "mpeg2video", "mp2"),
        ("v.vob", "mpeg2video", "ac3"),
        ("v.ogv", "libvpx", "libopus"),
        ("v.mxf", "mpeg2video", "pcm_s16le"),
        ("v.nut", "mpeg4", "mp2"),
    ],
)
def test_a_video_is_known_by_its_first_bytes_and_not_where_it_is_hidden(
    tmp_path, name, codec, sound_codec
):
    path = make.write_video(
        tmp_path / name, [DARK] * 10, 25, make.tone(0.4), codec=codec,
        sound_codec=sound_codec,
    )  # fmt: skip
    content = pathlib.Path(path).read_bytes()
    (tmp_path / "x.dat").write_bytes(content)
    (tmp_path / "._x.dat").write_bytes(content)
    (tmp_path / f"._{name}").write_bytes(b"\0\5\x16\7 of macOS")
    assert video_files.is_video(tmp_path / "x.dat")
    assert not video_files.is_video(tmp_path / "._x.dat")
    assert not video_files.is_video(tmp_path / f"._{name}")


@pytest.mark.parametrize(
    ("name", "codec"),
    [("v.m4a", "aac"), ("v.mka", "flac"), ("v.ogg", "libopus"), ("v.wav", "pcm_s16le")],
)
def test_sound_alone_is_no_video(tmp_path, name, codec):
    make.write_video(
        tmp_path / name, [], sound=make.tone(0.4), codec="", sound_codec=codec
    )
    assert not video_files.is_video(tmp_path / name)


@pytest.mark.parametrize(
    "content", [b"", b"G", b"Gather ye rosebuds\n" * 99, b"\0" * 99]
)
def test_other_files_are_no_videos(tmp_path, content):
    (tmp_path / "x.dat").write_bytes(content)
    assert not video_files.is_video(tmp_path / "x.dat")


def test_pipes_and_folders_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "nowhere"):
        assert not video_files.is_video(tmp_path / name)
