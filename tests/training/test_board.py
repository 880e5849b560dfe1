import numpy as np
import pytest
import tensorflow as tf

from tests.evaluation import samples
from tfmds import spec
from tfmds.evaluation import evaluation, metrics
from tfmds.reporting import result_pages, tables
from tfmds.training.board import LOGS, Board
from tfmds.training.validation import Result, Samples

CONFIG = {"model": {"image_size": 32}, "batch": {}, "recipe": {}}


def written(workdir):
    """Scalars by tag, and the tags of pictures, of a run's board."""
    scalars, pictures = {}, set()
    for path in (workdir / LOGS).iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                kind = value.metadata.plugin_data.plugin_name
                if kind == "scalars":
                    scalars[value.tag] = float(tf.make_ndarray(value.tensor))
                elif kind == "images":
                    pictures.add(value.tag)
    return scalars, pictures


def write(workdir, evaluated, mismatch_auc=0.75):
    rng = np.random.default_rng(0)
    shown = Samples(
        frames=rng.integers(0, 255, (3, 30, 32, 32, 3), np.uint8),
        mfcc=rng.normal(size=(3, 13, 99)).astype(np.float32),
        label=np.array([spec.REAL, spec.FAKE, spec.FAKE]),
        video_id=["a", "b", "c"],
        start_seconds=np.zeros(3, np.float32),
        pairwise_distance=rng.random((3, 3)).astype(np.float32),
    )
    board = Board(workdir, CONFIG)
    board.write_epoch(7, Result(evaluated.videos, evaluated, mismatch_auc, None, shown))
    board.flush()
    return written(workdir)


@pytest.mark.usefixtures("valid_charts")
def test_the_board_shows_figures_intervals_and_pictures(tmp_path):
    videos, chunks = samples.tables(separation=0.2)
    found = evaluation.evaluate(videos, chunks, split="validation", num_draws=50)
    scalars, pictures = write(tmp_path, found)
    auc = found.estimates["videos/auc"]
    assert scalars["validation/auc"] == pytest.approx(auc.value)
    assert scalars["validation/auc_low"] == pytest.approx(auc.interval[0])
    assert scalars["validation/mismatch_auc"] == 0.75
    real = found.videos.mds[found.videos.label == spec.REAL]
    assert scalars["validation/mds_real"] == pytest.approx(real.mean())
    assert pictures == {
        "validation/evaluation",
        "validation/samples",
        "validation/mouth_against_voice",
    }


def test_a_metric_is_written_once_and_stands_everywhere(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "METRICS", dict(metrics.METRICS))

    @metrics.metric("share of fakes", metrics.RANKING)
    def fake_share(ranking):
        fakes = ranking.fake.sum(-1)
        return fakes / (fakes + ranking.real.sum(-1))

    videos, chunks = samples.tables(groups=4)
    # Of each group one real video and two fakes are left.
    keep = np.array([not name.endswith("-0.mp4") for name in videos.video_id])
    found = evaluation.evaluate(
        videos.select(keep), None, split="validation", num_draws=20
    )
    expected = 2 / 3
    in_json = found.to_json()["metrics"]["videos/fake_share"]["value"]
    assert in_json == pytest.approx(expected)
    assert "share of fakes 0.67" in tables.render(found)
    assert "share of fakes 0.67" in result_pages.evaluation_page(found)
    scalars, _ = write(tmp_path, found)
    assert scalars["validation/fake_share"] == pytest.approx(expected)
