"""Preprocessing of recordings that nobody here made; skipped where there are none."""

import csv
import os
import pathlib

import pytest

from tfmds import spec
from tfmds.preprocessing.tracks import TrackReader

FOLDER = os.environ.get("TFMDS_REAL_CLIPS", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="TFMDS_REAL_CLIPS names no folder"),
]
# One of each kind: MPEG-1, portrait HEVC, MPEG-4 in AVI, tight crop, upscaled, 1080p.
KINDS = (
    "grid_s1_",
    "latent1_",
    "syncnet_ex_example",
    "pc00015",
    "grid_uB",
    "ayhm23_real",
)


def clips() -> list[str]:
    """The first file of each kind that is there."""
    if not FOLDER:
        return []
    with (pathlib.Path(FOLDER) / "INDEX.csv").open() as f:
        names = sorted(row["file"] for row in csv.DictReader(f))
    found = [[n for n in names if n.startswith(kind)][:1] for kind in KINDS]
    return sum(found, [])


@pytest.mark.parametrize("name", clips())
def test_a_single_speaker_is_one_track_over_nearly_all_of_the_clip(name):
    reader = TrackReader(pathlib.Path(FOLDER) / "clips" / name)
    segments = list(reader)
    summary = reader.summary
    assert summary.status == spec.OK, summary.reason
    assert {segment.track for segment in segments} == {0}
    assert summary.seconds_without_face < 0.2 * summary.seconds
    assert summary.chunks >= int(0.8 * summary.seconds)
    for segment in segments:
        assert len(segment.mfcc) == spec.ChunkSpec().mfcc_frames_in(len(segment.frames))


def test_the_package_says_of_a_real_clip_that_mouth_and_voice_fit():
    from tfmds.detection import judging
    from tfmds.exporting import loading

    path = pathlib.Path(FOLDER) / "clips" / "pc00015.mp4"
    judgement = judging.judge(loading.load(None), str(path))
    assert judgement.verdict == "real"
    assert judgement.whole.offset_is_clear
    assert abs(judgement.whole.offset_seconds) < 0.1
    assert judgement.speaks(0) is True


def test_both_forms_of_the_package_judge_a_real_clip_alike():
    from tfmds.detection import judging
    from tfmds.exporting import light_model, loading

    path = str(pathlib.Path(FOLDER) / "clips" / "pc00015.mp4")
    light, full = (
        judging.judge(form.load(None), path) for form in (light_model, loading)
    )
    assert light.verdict == full.verdict
    assert light.mds == pytest.approx(full.mds, abs=1e-3)
    assert light.whole.aligned == pytest.approx(full.whole.aligned, abs=1e-3)
