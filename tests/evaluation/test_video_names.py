"""Which video a name means, with and without folder and ending."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfmds.evaluation import video_names

REAL_AND_FAKE = [
    ("real__a", "real/a.mp4"),
    ("fake__a", "fake/a.mp4"),
    ("b", "real/b.mov"),
]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("b", 2),
        ("b.mov", 2),
        ("real/b.mov", 2),
        ("out/of/reach/real/b", 2),
        ("C:\\clips\\b.mov", 2),
        ("./real/a.mp4", 0),
        ("/data/fake/a.mp4", 1),
        ("fake__a", 1),
        ("fake/a", 1),
        ("x/fake__a.mp4", 1),
        # Which of the two it is, nobody knows.
        ("a", -1),
        ("other/a.mp4", -1),
        ("c", -1),
        ("b.mp4.part", -1),
    ],
)
def test_a_video_is_found_by_what_is_said_of_it(name, row):
    assert video_names.match([name], REAL_AND_FAKE).rows.tolist() == [row]


def test_what_may_be_several_is_left_out_and_told():
    found = video_names.match(["x/a.mp4", "one/b.mov", "two/b.mov"], REAL_AND_FAKE)
    assert found.rows.tolist() == [-1, -1, -1]
    # Another folder is another video, and none of several.
    assert sorted(found.ambiguous) == ["one/b.mov", "two/b.mov"]
    (said,) = found.notes
    assert said.startswith("2 names may mean several videos")


def test_a_name_that_is_spelled_as_the_video_goes_before_another():
    found = video_names.match(["b", "copies/b.mov"], REAL_AND_FAKE)
    assert found.rows.tolist() == [2, -1]
    assert not found.loosely


def test_numbers_at_the_end_are_no_endings():
    known = [("clip.001",), ("clip.002",)]
    assert video_names.match(["clip.002.mp4"], known).rows.tolist() == [1]
    assert video_names.match(["clip"], known).rows.tolist() == [-1]


@given(
    st.lists(
        st.lists(st.text("abc", min_size=1, max_size=2), min_size=1, max_size=3).map(
            "/".join
        ),
        unique=True,
        min_size=1,
        max_size=6,
    )
)
def test_names_of_the_same_spelling_are_the_same_whatever_else_is_there(paths):
    files = [f"{path}.mp4" for path in paths]
    found = video_names.match(files, [[path] for path in files])
    assert found.rows.tolist() == list(range(len(files)))
    assert not found.notes
    # Behind one more folder none is taken for another.
    moved = video_names.match([f"moved/{f}" for f in files], [[f] for f in files])
    for row, path in zip(moved.rows, files, strict=True):
        assert row in (files.index(path), -1)


@pytest.mark.parametrize(
    ("names", "known", "expected", "loosely"),
    [
        (["b", "a"], ["a", "b"], [1, 0], 0),
        (["a.mp4", "b.MOV"], ["a", "b"], [0, 1], 2),
        (["/data/x/a.mp4", "b"], ["a.mp4", "b"], [0, 1], 1),
        (["part\\\\a.mp4".replace("\\\\", "\\")], ["a"], [0], 1),
        # As manifests name videos that share a file name.
        (["x/a.mp4", "y/a.mp4"], ["y__a", "x__a"], [1, 0], 2),
        (["/data/x/a.mp4", "/data/y/a.mp4"], ["y/a", "x/a"], [1, 0], 2),
        # Another folder is another video.
        (["x/a"], ["y/a"], [-1], 0),
        # Which of the two it is nobody knows.
        (["a.mp4"], ["x/a", "y/a"], [-1], 0),
        (["x/a", "y/a"], ["a.mp4"], [-1, -1], 0),
        # What is there as it is written is no other's.
        (["a", "x/a"], ["a", "b"], [0, -1], 0),
        (["id.01", "id.02"], ["id", "id.02"], [-1, 1], 0),
        ([], ["a"], [], 0),
    ],
)
def test_names_are_matched_where_that_is_unambiguous(names, known, expected, loosely):
    found = video_names.match(names, [[name] for name in known])
    assert (found.rows.tolist(), len(found.loosely)) == (expected, loosely)
