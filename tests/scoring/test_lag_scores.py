import keras
import numpy as np
import pytest

from tests import tracks
from tfmds.data.data_set import DataSet
from tfmds.evaluation import alignment, lag_evidence, score_files
from tfmds.models import checkpoints
from tfmds.models.two_stream import two_stream
from tfmds.scoring import lag_scores, mismatches, scorer


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    return tracks.data_set_dir(path, {"validation": 2}, 3, ["real"])


def shards(data):
    return [str(path) for path in DataSet.load(data).shards("validation")]


def test_a_data_set_gets_aligned_scores_and_distances_at_the_offset(
    run_dir, data, tmp_path
):
    scorer.score_data_set(run_dir, data, ["validation"], tmp_path, score="aligned")
    videos, chunks, _ = score_files.read(tmp_path / score_files.VIDEOS_FILE)
    assert set(videos.scores) == {"mds", "aligned", "stretches"}
    model, config, spec = checkpoints.load_model(run_dir)
    found = lag_scores.measure(model, config.view, spec, shards(data))
    grid = lag_evidence.lags()
    for row, video in enumerate(videos.video_id):
        whole = found.alignments[video].whole
        assert videos.scores["aligned"][row] == pytest.approx(whole.aligned, abs=0.01)
        offset = videos.offset_seconds[row]
        assert offset == pytest.approx(whole.offset_seconds, abs=0.01)
        mine = chunks.select(chunks.video_id == video)
        column = np.argmin(np.abs(grid - offset))
        # Mouths begin every 0.2 s, chunks every second.
        table = found.distances[video, 0]
        expected = table[::5][: len(mine), column]
        np.testing.assert_allclose(mine.offset_distance, expected, atol=1e-3)
        at_once = table[::5][: len(mine), len(grid) // 2]
        np.testing.assert_allclose(mine.distance, at_once, atol=1e-3)
        # A chunk a second, as the course has them.
        expected = found.courses[video].none[: len(mine)]
        np.testing.assert_allclose(mine.misfit, expected, atol=0.02)
        assert mine.judged_by("stretches").distance.tolist() == mine.misfit.tolist()


def test_without_being_asked_for_it_only_the_mds_is_measured(run_dir, data, tmp_path):
    scorer.score_data_set(run_dir, data, ["validation"], tmp_path)
    videos, chunks, _ = score_files.read(tmp_path / score_files.VIDEOS_FILE)
    assert set(videos.scores) == {"mds"}
    assert np.isnan(videos.offset_seconds).all()
    assert np.isnan(chunks.offset_distance).all()


def test_mismatches_are_made_by_the_lags_too(run_dir, data):
    model, config, spec = checkpoints.load_model(run_dir)
    spoken = lag_scores.embed(model, config.view, spec, shards(data))
    (first, second) = sorted(spoken)
    mine, other = spoken[first], spoken[second]
    whole = alignment.align(mine.evidence(0, 1.0))
    measured = lag_scores.measure(model, config.view, spec, shards(data))
    assert whole.aligned == pytest.approx(
        measured.alignments[first[0]].whole.aligned, abs=0.01
    )
    # A voice 0.4 s later is what was at another lag before.
    late = alignment.align(mine.evidence(0, 1.0, shift=0.4))
    hops = round(0.4 / 0.04)
    np.testing.assert_allclose(
        late.distance[hops:][40:60], whole.distance[:-hops][40:60], rtol=0.2
    )
    swapped = alignment.align(mine.evidence(0, 1.0, other))
    assert swapped.aligned is not None
    data_set, model, known = scorer.load(run_dir, data)
    embedded = mismatches.embed(model, known.config, data_set, "validation")
    videos, _ = mismatches.score_tracks(embedded, spoken=spoken)
    assert np.isfinite(videos.scores["aligned"]).all()
    assert len(videos) == 3 * len(embedded)


def test_a_network_that_computes_in_bfloat16_is_measured_too(run_dir, data):
    model, config, spec = checkpoints.load_model(run_dir)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = two_stream(config, spec)
    finally:
        keras.config.set_dtype_policy(before)
    mixed.set_weights(model.get_weights())
    exact = lag_scores.embed(model, config.view, spec, shards(data))
    rough = lag_scores.embed(mixed, config.view, spec, shards(data))
    for key, spoken in exact.items():
        np.testing.assert_allclose(
            rough[key].voice, spoken.voice, atol=0.05 * np.abs(spoken.voice).max()
        )
