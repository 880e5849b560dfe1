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
    overlaps, expected, lost = preprocessing.agreement_on(clip, 10)
    assert len(overlaps) == 9
    assert min(overlaps) > 0.8
    assert (expected, lost) == (1, 0)
