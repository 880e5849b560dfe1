"""Offsets of training videos: where zero lies, and whose count."""

import dataclasses
import shutil

import numpy as np
import pytest

from pipelines import estimate_offsets
from tests import tracks
from tests.conftest import run_program
from tfmds.common.errors import InputError
from tfmds.data.data_set import DataSet, VideoRow
from tfmds.evaluation.alignment import Alignment


def row(name, group):
    video = dataclasses.replace(tracks.video(name), group=group)
    return VideoRow(video, "ok", "", 1, 3, 3.0)


def alignment(offset, clearness=5.0):
    return Alignment(-2.0, offset, clearness, 3.0, np.zeros(3), np.zeros(3))


def test_zero_is_the_median_of_people_and_unclear_ones_get_none():
    rows = [row("a1", "a"), row("a2", "a"), row("a3", "a"), row("b", "b")]
    rows += [row("c", "c"), row("d", "d"), row("e", "e")]
    found = {
        **dict.fromkeys(("a1", "a2", "a3"), alignment(0.0)),
        "b": alignment(0.08),
        "c": alignment(0.2),
        "d": alignment(-0.4, clearness=1.0),
    }
    changed, zero = estimate_offsets.with_offsets(rows, found)
    # The medians of a, b and c are 0, 0.08 and 0.2, however many clips a has.
    assert zero == pytest.approx(0.08)
    assert [r.offset_seconds for r in changed] == [-0.08] * 3 + [0, 0.12, None, None]
    assert [r.video for r in changed] == [r.video for r in rows]


@pytest.mark.slow
def test_without_a_clear_offset_nothing_is_written(tmp_path):
    data = tracks.data_set_dir(tmp_path / "data", {"train": 2, "validation": 1}, 4)
    before = (data / "videos.csv").read_bytes()
    # Flat pictures fit no voice.
    with pytest.raises(InputError, match="no offset is clear in any of 2"):
        estimate_offsets.main(estimate_offsets.OffsetsConfig(data_dir=str(data)))
    assert (data / "videos.csv").read_bytes() == before


@pytest.mark.slow
def test_offsets_of_drawn_people_are_found(demo_dir, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(demo_dir / "data", data)
    done = run_program("pipelines.estimate_offsets", f"--data_dir={data}")
    assert done.returncode == 0, done.stderr
    rows = DataSet.load(data).videos()
    found = [r.offset_seconds for r in rows if r.offset_seconds is not None]
    assert f"{len(found)} of" in done.stdout
    assert {r.video.split for r in rows if r.offset_seconds is not None} == {"train"}
    # Their mouths and voices are drawn from one clock.
    assert abs(np.median(found)) < 0.05
