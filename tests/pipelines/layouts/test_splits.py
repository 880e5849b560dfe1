import collections

import pytest

from pipelines.layouts import splits
from tfmds.common.errors import InputError
from tfmds.data.manifest import Video

FRACTIONS = (0.6, 0.15, 0.25)


def people(count, reals=2, fakes=3, split=""):
    return [
        Video(
            f"{p}_{k}", f"{p}_{k}.mp4", "real" if k < reals else "fake", split, str(p)
        )
        for p in range(count)
        for k in range(reals + fakes)
    ]


def groups_by_split(videos):
    found = collections.defaultdict(set)
    for video in videos:
        found[video.split].add(video.group)
    return found


def test_groups_are_whole_and_come_near_the_shares():
    found = groups_by_split(splits.assign(people(40), FRACTIONS, seed=1))
    assert {s: len(g) for s, g in found.items()} == {
        "train": 24,
        "validation": 6,
        "test": 10,
    }
    assert not found["train"] & found["test"]
    assert not found["train"] & found["validation"]


@pytest.mark.parametrize("count", [3, 4, 5, 7])
def test_few_groups_still_reach_every_split(count):
    found = groups_by_split(splits.assign(people(count), FRACTIONS, seed=0))
    assert all(found[s] for s in ("train", "validation", "test"))
    assert len(found["train"]) == max(map(len, found.values()))


def test_both_classes_reach_every_split_where_groups_are_single_videos():
    videos = [
        Video(f"{n}", f"{n}.mp4", "real" if n % 4 == 0 else "fake", "", f"{n}")
        for n in range(80)
    ]
    counts = collections.Counter(
        (v.split, v.label) for v in splits.assign(videos, FRACTIONS, seed=3)
    )
    assert counts["train", "real"] == 12
    assert counts["validation", "real"] == 3
    assert counts["test", "real"] == 5
    assert counts["test", "fake"] == 15


def test_the_seed_decides_and_the_order_does_not():
    videos = people(20)
    once = {v.video_id: v.split for v in splits.assign(videos, FRACTIONS, seed=1)}
    again = {v.video_id: v.split for v in splits.assign(videos[::-1], FRACTIONS, 1)}
    other = {v.video_id: v.split for v in splits.assign(videos, FRACTIONS, seed=2)}
    assert once == again != other


def test_a_stated_split_is_kept_and_validation_taken_from_train():
    videos = people(20, split="train") + [
        Video("t", "t.mp4", "real", "test", "tester"),
    ]
    found = groups_by_split(splits.assign(videos, FRACTIONS, seed=0))
    assert found["test"] == {"tester"}
    assert len(found["validation"]) == 4
    assert not found["validation"] & found["train"]


def test_a_stated_validation_is_kept():
    videos = people(5, split="train") + [Video("v", "v.mp4", "real", "validation", "v")]
    found = groups_by_split(splits.assign(videos, FRACTIONS, seed=0))
    assert found["validation"] == {"v"}


@pytest.mark.parametrize("texts", [["0.5", "0.5"], ["1", "1", "1"], ["a", "b", "c"]])
def test_shares_that_are_none_are_refused(texts):
    with pytest.raises(InputError, match="split_fractions"):
        splits.parse_fractions(texts)
