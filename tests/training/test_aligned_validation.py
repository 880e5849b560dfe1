import numpy as np
import pytest

from tests.evaluation.lag_samples import embeddings
from tfmds import spec
from tfmds.evaluation import scores
from tfmds.evaluation.scores import ChunkScores, VideoScores
from tfmds.scoring.lag_scores import Spoken
from tfmds.training import loop, validation
from tfmds.training.config import TrainingConfig


def spoken(seed: int, fits: bool) -> Spoken:
    times, voice = embeddings(8, seed)
    _, other = embeddings(8, seed + 1000)
    mouth = (0.5 * voice + 0.5 * other) if fits else other
    return Spoken([(times[::5], mouth[::5])], times, voice)


def videos(labels: dict[str, str]) -> VideoScores:
    chunks = ChunkScores.from_distances(
        video_id=list(labels),
        track=[0] * len(labels),
        start_seconds=[0.0] * len(labels),
        label=[spec.LABELS[word] for word in labels.values()],
        distance=[1.0] * len(labels),
    )
    return VideoScores.from_chunks(
        chunks,
        video_id=list(labels),
        label=[spec.LABELS[word] for word in labels.values()],
        split=["validation"] * len(labels),
        group=list(labels),
        manipulation=[""] * len(labels),
        status=["ok"] * len(labels),
    )


def test_reals_are_told_from_other_videos_voices_where_there_are_no_fakes():
    labels = dict.fromkeys("abcd", "real")
    tracks = {(name, 0): spoken(seed, True) for seed, name in enumerate(labels)}
    found, auc = validation.with_aligned(videos(labels), tracks)
    assert auc == 1
    assert (found.scores[scores.ALIGNED] < -2).all()
    assert np.isfinite(found.offset_seconds).all()


def test_a_network_that_learned_nothing_tells_nothing():
    labels = dict.fromkeys("abcdefghijkl", "real")
    tracks = {(name, 0): spoken(seed, False) for seed, name in enumerate(labels)}
    _, auc = validation.with_aligned(videos(labels), tracks)
    assert auc == pytest.approx(0.5, abs=0.3)


def test_one_real_alone_tells_nothing_at_all():
    _, auc = validation.with_aligned(videos({"a": "real"}), {("a", 0): spoken(0, True)})
    assert auc is None


def test_where_it_is_measured_it_chooses_the_best_checkpoint():
    figures = {"loss": 1.0, "validation/auc": 0.7, "validation/aligned_auc": 0.9}
    assert loop.compared_by(figures, TrainingConfig(best_by="aligned"))[1] == 0.9
    del figures["validation/aligned_auc"]
    assert loop.compared_by(figures, TrainingConfig(best_by="aligned"))[1] == 0.7
