import itertools

import pytest

from benchmarks import damaged
from tfmds.common.errors import InputError

FILES = dict(
    zip((f"file{k:05d}.mp4" for k in range(500)), itertools.cycle(damaged.DAMAGES))
)


@pytest.mark.parametrize("number", [1, 7, 200, 499, 500])
def test_a_sample_has_as_many_files_as_asked_for(number):
    drawn = damaged.sample(FILES, number, 3)
    assert len(drawn) == number
    assert drawn.items() <= FILES.items()
    assert drawn == damaged.sample(FILES, number, 3)


def test_a_sample_is_no_larger_than_there_are_files():
    assert damaged.sample(FILES, 600, 0) == FILES


@pytest.mark.parametrize(
    ("kind", "status", "is_plausible"),
    [
        ("as it was", "ok", True),
        ("as it was", "too_short", False),
        ("empty", "decode_error", True),
        ("empty", "refused 400", True),
        ("empty", "ok", False),
        ("noise", "no_face", False),
        ("cut short", "too_short", True),
        ("cut short", "failed: KeyError", False),
        ("longer than itself", "refused 415", False),
    ],
)
def test_a_status_that_such_a_file_cannot_have_is_a_failure(kind, status, is_plausible):
    found = [("a.mp4", status)]
    if is_plausible:
        damaged.check("detect", {"a.mp4": kind}, found)
    else:
        with pytest.raises(InputError, match="a.mp4"):
            damaged.check("detect", {"a.mp4": kind}, found)


@pytest.mark.parametrize("rows", [[], ["a.mp4", "a.mp4"], ["a.mp4", "b.mp4"]])
def test_rows_and_files_go_together(rows):
    with pytest.raises(InputError, match="of 1 files"):
        damaged.check("detect", {"a.mp4": "text"}, [(r, "no_audio") for r in rows])
