import numpy as np
import pytest

from tests import media
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.detection import judgement_json, judging
from tfmds.detection.track_choice import TrackChoice
from tfmds.evaluation import lag_evidence, thresholds
from tfmds.exporting import loading, saved_model


@pytest.fixture(scope="session")
def model(export_dir):
    return loading.load(export_dir)


def test_judges_every_whole_second_of_a_face(model, clip):
    judgement = judging.judge(model, clip)
    assert judgement.status == spec.OK, judgement.reason
    assert [chunk.start_seconds for chunk in judgement.chunks] == [0, 1, 2]
    assert judgement.seconds_scored == pytest.approx(3)
    assert judgement.mds == pytest.approx(
        np.mean([chunk.distance for chunk in judgement.chunks])
    )
    assert judgement.verdict == ("fake" if judgement.mds >= 0.5 else "real")
    assert all(chunk.face_jpeg.startswith(b"\xff\xd8") for chunk in judgement.chunks)


@pytest.mark.parametrize(
    ("name", "content"), [("text.mp4", b"no video\n" * 99), ("empty.mp4", b"")]
)
def test_a_file_that_is_no_video_gets_a_status(model, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    judgement = judging.judge(model, str(tmp_path / name))
    assert judgement.status == spec.DECODE_ERROR
    assert judgement.reason


def test_a_hop_scores_seconds_that_overlap(model, clip):
    judgement = judging.judge(model, clip, hop_seconds=0.5)
    starts = [chunk.start_seconds for chunk in judgement.chunks]
    assert starts == [0, 0.5, 1, 1.5, 2]
    whole = judging.judge(model, clip)
    by_start = {chunk.start_seconds: chunk.distance for chunk in judgement.chunks}
    for chunk in whole.chunks:
        assert by_start[chunk.start_seconds] == pytest.approx(chunk.distance, rel=1e-4)
    with pytest.raises(InputError, match="a multiple of 0.1 s"):
        judging.judge(model, clip, hop_seconds=0.25)


def test_progress_and_chunks_are_told_as_they_come(model, clip):
    seconds, chunks = [], []
    judgement = judging.judge(
        model, clip, on_progress=seconds.append, on_chunk=chunks.append
    )
    assert tuple(chunks) == judgement.chunks
    assert seconds == sorted(seconds)
    assert seconds[-1] == pytest.approx(3)


@pytest.fixture(scope="module")
def two_heads(tmp_path_factory) -> str:
    """A large face and a small one beside it, 2 s."""
    path = str(tmp_path_factory.mktemp("two") / "two.mp4")
    pictures = []
    for m in 0.5 + 0.5 * np.sin(np.arange(60) / 3):
        picture = np.full((240, 480, 3), (120, 135, 150), np.uint8)
        media.draw_face(picture, 130, 120, 150, m)
        pictures.append(media.draw_face(picture, 370, 120, 90, m))
    return media.write_video(path, pictures, sound=media.tone(2))


def test_faces_that_are_not_chosen_are_told_and_not_scored(model, two_heads):
    everyone = judging.judge(model, two_heads)
    assert everyone.tracks == (0, 1)
    large = max(everyone.chunks, key=lambda chunk: chunk.face_size)
    left, _, right, _ = large.box
    assert (left + right) / 2 == pytest.approx(130, abs=10)
    for text, reason in (("largest", "larger face"), (f"{large.track + 1}", "chosen")):
        choice = TrackChoice.parse(text)
        judgement = judging.judge(model, two_heads, tracks=choice)
        assert judgement.tracks == (large.track,)
        (skipped,) = judgement.skipped_tracks
        assert f"face {2 - large.track}" in skipped.reason
        assert reason in skipped.reason
    nobody = judging.judge(model, two_heads, tracks=TrackChoice.parse("7"))
    assert nobody.status == spec.NO_FACE
    assert "2 faces" in nobody.reason


@pytest.mark.parametrize("text", ["", "0", "-1", "1,", "tallest", "1.5"])
def test_a_choice_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="expected all, largest, or numbers"):
        TrackChoice.parse(text)


@pytest.mark.slow
def test_a_threshold_of_the_aligned_score_has_videos_judged_by_it(
    export_dir, clip, tmp_path
):
    path = tmp_path / thresholds.FILE
    thresholds.write(path, thresholds.Threshold(-1.0, score="aligned"))
    saved_model.export(export_dir, path, tmp_path / "model")
    judgement = judging.judge(loading.load(tmp_path / "model"), clip)
    by_mds = judging.judge(loading.load(export_dir), clip)
    assert by_mds.evidence == ()
    assert judgement_json.write(by_mds)["aligned"] is None
    assert judgement.mds == by_mds.mds
    whole = judgement.whole
    assert whole.seconds == pytest.approx(3, abs=0.1)
    assert judgement.value == whole.aligned
    assert judgement.verdict in ("fake", "real", "out_of_step")
    # At its offset a mouth near an end of the video may have no voice.
    voices = [c.start_seconds + whole.offset_seconds for c in judgement.chunks]
    known = [0.1 <= start <= whole.seconds - 1.1 for start in voices]
    assert any(known)
    for chunk, is_known in zip(judgement.chunks, known, strict=True):
        if is_known:
            assert chunk.offset_distance is not None
            assert chunk.mismatch_distance > 0
        # Its mouth opens and closes.
        assert chunk.mouth_motion > 0.5
    at_once = len(lag_evidence.lags()) // 2
    # Mouths every 0.2 s hold those of whole seconds.
    assert whole.distance[at_once] == pytest.approx(judgement.mds, rel=0.5)
    fields = judgement_json.write(judgement)
    assert (
        judgement_json.write(judgement_json.read(fields, judgement.threshold)) == fields
    )
