import cv2
import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tests import faces
from tfmds.data import face_records
from tfmds.data.face_records import Face, Stored
from tfmds.data.manifest import Video
from tfmds.preprocessing import crops


def test_a_face_comes_back_as_it_was_stored():
    face = Face(
        faces.jpeg(faces.marked(20, 30, (5, 5, 9, 9))), (0.25, 0, 0.5, 1), 2.5, 3
    )
    video = Video("v", "v.mp4", "fake", "train", "g", forged="picture")
    assert face_records.decode(face_records.encode(face, video)) == Stored(face, "v", 0)


@pytest.mark.parametrize(
    ("label", "forged", "expected"),
    [
        ("real", "", 1),
        ("fake", "picture", 0),
        ("fake", "both", 0),
        ("fake", "", 0),
        ("fake", "sound", 1),
        ("", "", -1),
    ],
)
def test_a_picture_is_real_where_only_the_sound_is_forged(label, forged, expected):
    video = Video("v", "v.mp4", label, "train", "g", forged=forged)
    assert face_records.picture_label(video) == expected


def test_a_track_shows_the_face_where_it_is_said_to_be():
    # By the formula that crops are cut with, for a box in the middle of a picture.
    left, top, side = 300.0, 200.0, 100.0
    window = crops.crop_window(left + side / 2, top + side / 2, side)
    expected = [
        (left - window.left) / window.side,
        (top - window.top) / window.side,
        (left + side - window.left) / window.side,
        (top + side - window.top) / window.side,
    ]
    assert pytest.approx(expected) == face_records.IN_TRACK


@hypothesis.given(
    size=st.tuples(st.integers(60, 200), st.integers(60, 200)),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    side=st.integers(20, 50),
)
@hypothesis.settings(max_examples=30)
def test_a_view_of_scale_one_is_the_square_of_the_face(size, place, side):
    height, width = size
    left, top = (
        round(p * (n - side)) for p, n in zip(place, (width, height), strict=True)
    )
    box = (left, top, left + side, top + side)
    jpeg = faces.jpeg(faces.marked(height, width, box))
    shares = tuple(np.array(box) / [width, height, width, height])
    seen = face_records.view(jpeg, shares, 64, scale=1.0)
    assert seen.shape == (64, 64, 3)
    assert seen.mean() > 240


@pytest.mark.parametrize("scale", [1.2, 1.6])
def test_more_is_shown_around_a_face_where_there_is_more(scale):
    box = (100, 80, 200, 180)
    jpeg = faces.jpeg(faces.marked(300, 320, box))
    shares = tuple(np.array(box) / [320, 300, 320, 300])
    seen = face_records.view(jpeg, shares, 100, scale) > 128
    assert seen.mean() == pytest.approx(1 / scale**2, abs=0.02)
    # In the middle.
    assert np.argwhere(seen[..., 0]).mean(0) == pytest.approx([49.5, 49.5], abs=1)


def test_a_still_cut_to_the_face_is_shown_as_it_is():
    picture = np.random.default_rng(0).integers(0, 255, (6, 6, 3)).astype(np.uint8)
    picture = cv2.resize(picture, (80, 80), interpolation=cv2.INTER_CUBIC)
    seen = face_records.view(faces.jpeg(picture), face_records.WHOLE, 80)
    assert np.abs(seen.astype(int) - picture).max() < 12


def test_cutting_keeps_the_place_of_the_face():
    box = np.array([400, 300, 520, 450], float)
    picture = faces.marked(900, 1000, (385, 300, 535, 450))
    jpeg, square = face_records.cut(picture, box, most=120)
    height, width = face_records.size_of(jpeg)
    assert height == width == 120
    shares = tuple(square / [width, height, width, height])
    assert face_records.view(jpeg, shares, 64, scale=0.95).mean() > 245
    assert face_records.view(jpeg, shares, 64, scale=1.5).mean() == pytest.approx(
        255 / 1.5**2, abs=8
    )


@hypothesis.given(count=st.integers(0, 300), wanted=st.integers(1, 50))
def test_pictures_are_spread_evenly(count, wanted):
    places = face_records.spread(count, wanted)
    assert len(places) == min(count, wanted)
    assert places == sorted(set(places))
    assert all(0 <= place < count for place in places)
    if len(places) > 1:
        gaps = np.diff([-places[0] - 1, *places, 2 * count - places[-1]])[1:-1]
        assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff\xe0 cut short"])
def test_what_is_no_picture_is_refused(content):
    with pytest.raises(ValueError):  # noqa: PT011
        face_records.picture_of(content)


def test_any_kind_of_picture_becomes_a_jpeg():
    picture = faces.marked(40, 40, (10, 10, 30, 30))
    _, png = cv2.imencode(".png", picture)
    decoded, jpeg = face_records.picture_of(png.tobytes())
    np.testing.assert_array_equal(decoded, picture)
    again, kept = face_records.picture_of(jpeg)
    assert kept == jpeg
    assert np.abs(again.astype(int) - picture).mean() < 4
