import dataclasses
import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.conftest import assert_refused, run_program
from tests.evaluation import samples
from tests.evaluation.test_heads import with_heads
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation import fusion, score_files, thresholds


def objective(weights, inputs, fake):
    """Penalized negative log likelihood, both classes with the same weight."""
    logit = inputs @ weights[:-1] + weights[-1]
    of_class = len(fake) / 2 / np.where(fake, fake.sum(), (~fake).sum())
    cost = np.logaddexp(0, np.where(fake, -logit, logit))
    return (of_class * cost).sum() + (weights[:-1] ** 2).sum() / 2


def test_the_weights_are_the_best_of_the_validation_videos():
    videos, _ = with_heads(separation=0.1, visual=0.2)
    fitted = fusion.fit(videos, "validation")
    assert fitted.names == ("mds", "visual", "audio")
    mine = videos.select(videos.split == "validation")
    inputs = np.column_stack([mine.scores[name] for name in fitted.names])
    inputs = (inputs - inputs.mean(0)) / inputs.std(0)
    fake = mine.label == spec.FAKE
    best = np.array([*(one.weight for one in fitted.inputs), fitted.intercept])
    least = objective(best, inputs, fake)
    for step in (1e-2, -1e-2):
        for place in range(len(best)):
            moved = best.copy()
            moved[place] += step
            assert objective(moved, inputs, fake) > least
    found = fitted(mine.scores)
    np.testing.assert_allclose(found, inputs @ best[:-1] + best[-1])
    aucs = [roc_auc_score(fake, mine.scores[name]) for name in fitted.names]
    assert roc_auc_score(fake, found) > max(aucs) - 0.02


def test_a_score_that_counts_the_other_way_round_is_named():
    videos, _ = with_heads(separation=0.1, visual=0.2)
    assert not fusion.fit(videos, "validation").notes
    turned = {**videos.scores, "visual": -videos.scores["visual"]}
    fitted = fusion.fit(dataclasses.replace(videos, scores=turned), "validation")
    (note,) = fitted.notes
    assert "counts visual the other way round" in note


def test_test_videos_have_no_part_in_the_fit():
    videos, _ = with_heads()
    other = {name: values.copy() for name, values in videos.scores.items()}
    for values in other.values():
        values[videos.split == "test"] *= -3
    assert fusion.fit(videos, "validation") == fusion.fit(
        dataclasses.replace(videos, scores=other), "validation"
    )


def test_a_video_that_lacks_one_has_no_fused_score():
    videos, _ = with_heads()
    aligned = -videos.mds.copy()
    aligned[:3] = np.nan
    videos = dataclasses.replace(videos, scores={**videos.scores, "aligned": aligned})
    fused = fusion.fit(videos, "validation").added_to(videos).scores["fused"]
    assert np.isnan(fused[:3]).all()
    assert np.isfinite(fused[3:]).all()


def test_videos_without_one_of_the_scores_are_refused_by_the_name_of_their_table():
    fitted = fusion.fit(with_heads()[0], "validation")
    with pytest.raises(InputError, match="a.csv: .*no video has visual, audio; score"):
        fitted.added_to(samples.tables()[0], "a.csv")


def test_one_score_alone_is_nothing_to_fuse():
    with pytest.raises(InputError, match="two or more.*--score=aligned"):
        fusion.fit(samples.tables()[0], "validation")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"score": "fused"}, "with no weights"),
        ({"fusion": {"inputs": [], "intercept": 0}}, "expected some of mds"),
        (
            {
                "score": "fused",
                "fusion": {
                    "inputs": [{"score": "mds", "mean": 0, "scale": 0, "weight": 1}],
                    "intercept": 0,
                },
            },
            "scale that is not above 0",
        ),
    ],
)
def test_weights_that_are_none_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        thresholds.Threshold.from_json({"value": 0.5, **fields}, "t.json")


def test_weights_travel_from_validation_to_test(tmp_path):
    videos, chunks = with_heads(groups=8)
    score_files.write(tmp_path, videos, chunks)
    scored = f"--scores={tmp_path / 'scores.csv'}"
    out = tmp_path / "threshold"
    done = run_program(
        "tfmds.select_threshold", scored, "--score=fused", f"--output_dir={out}"
    )
    assert done.returncode == 0, done.stderr
    assert "weights by standard deviation mds" in done.stdout
    said = json.loads((out / "threshold.json").read_text())
    assert set(said["heads"]) == {"visual", "audio"}
    words = [scored, "--score=fused", f"--output_dir={tmp_path / 'out'}", "--draws=20"]
    done = run_program(
        "tfmds.evaluate", *words, f"--threshold={out / 'threshold.json'}"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    test = videos.select(videos.split == "test")
    fused = said["fusion"]["intercept"]
    for one in said["fusion"]["inputs"]:
        value = test.scores[one["score"]]
        fused = fused + one["weight"] * (value - one["mean"]) / one["scale"]
    assert found["metrics"]["videos/auc"]["value"] == pytest.approx(
        roc_auc_score(test.label == spec.FAKE, fused)
    )
    # No chunk has a fused score, and it is said by what it is judged instead.
    mine = chunks.select(np.isin(chunks.video_id, test.video_id))
    assert found["metrics"]["chunks/auc"]["value"] == pytest.approx(
        roc_auc_score(mine.label == spec.FAKE, mine.distance)
    )
    assert "a chunk has no fused score" in done.stdout
    assert found["metrics"]["visual/recall"]["value"] == pytest.approx(
        np.mean(
            test.scores["visual"][test.forged == "picture"]
            >= said["heads"]["visual"]["value"]
        )
    )
    # Without the weights there is nothing to judge by.
    done = run_program("tfmds.evaluate", *words)
    assert_refused(done, "select_threshold --score=fused")
