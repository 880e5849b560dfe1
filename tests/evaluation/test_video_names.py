"""Names of two tables: the same video, with or without folder and ending."""

import pytest

from tfmds.evaluation import video_names


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
    assert video_names.match(names, known) == (expected, loosely)
