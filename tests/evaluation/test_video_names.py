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
    assert sorted(found.ambiguous) == ["one/b.mov", "two/b.mov", "x/a.mp4"]
    (said,) = found.notes
    assert said.startswith("3 names may mean several videos")


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
