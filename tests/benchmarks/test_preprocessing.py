import os

import pytest

from benchmarks import preprocessing
from tests import media as make


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "v.mp4"
    return make.write_video(path, [make.talking_head()] * 90, 30, make.tone(3))


def test_each_part_of_the_work_takes_some_of_the_time(clip):
    seconds = preprocessing.where_time_goes(clip)
    parts = {"decoding picture and sound", "detection", "cropping", "JPEG", "MFCC"}
    assert parts < set(seconds)
    assert all(s > 0 for s in seconds.values())


def test_a_face_that_every_frame_shows_is_followed(clip):
    expected = preprocessing.faces_on_single_frames(clip, 10)
    boxes, seconds = preprocessing.boxes_of_tracks(clip, os.getcwd())
    found = preprocessing.Agreement()
    found.add("v", expected, boxes)
    assert len(found.overlaps["v"]) == 9
    assert min(found.overlaps["v"]) > 0.8
    assert (found.num_expected, found.lost_in) == (1, [])
    assert seconds > 0


def test_a_face_that_is_not_followed_is_lost(clip):
    expected = preprocessing.faces_on_single_frames(clip, 10)
    found = preprocessing.Agreement()
    found.add("v", expected, {0: [expected[0].boxes[0]]})
    assert found.lost_in == ["v"]
