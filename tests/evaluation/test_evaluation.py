import dataclasses

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.evaluation import samples
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation import (
    evaluation,
    score_files,
    scores,
    threshold_choice,
    thresholds,
)
from tfmds.reporting import result_charts, tables

MISSING = [("test/0-1.mp4", spec.NO_FACE), ("test/1-2.mp4", spec.NO_AUDIO)]


def evaluate(videos, chunks=None, **options):
    options = {"split": "test", "num_draws": 50} | options
    return evaluation.evaluate(videos, chunks, **options)


def test_a_manipulation_stands_against_all_reals_of_the_split():
    videos, chunks = samples.tables(separation=0.2)
    found = evaluate(videos, chunks).estimates
    test = videos.select(videos.split == "test")
    rows = (test.label == spec.REAL) | (test.manipulation == "audio_swap")
    expected = roc_auc_score(test.label[rows] == spec.FAKE, test.mds[rows])
    assert found["videos/manipulation=audio_swap/auc"].value == pytest.approx(expected)
    assert found["videos/manipulation=audio_swap/reals"].value == 10
    assert found["videos/auc"].value == pytest.approx(
        roc_auc_score(test.label == spec.FAKE, test.mds)
    )


def test_chunks_are_those_of_the_split():
    videos, chunks = samples.tables(separation=0.2, unscored=MISSING)
    found = evaluate(videos, chunks, min_coverage=0).estimates
    mine = [name.startswith("test") for name in chunks.video_id]
    assert found["chunks/auc"].value == pytest.approx(
        roc_auc_score(chunks.label[mine] == spec.FAKE, chunks.distance[mine])
    )
    assert not any(
        name.startswith("chunks") for name in evaluate(videos, min_coverage=0).estimates
    )


def test_too_few_scored_videos_are_no_result():
    videos, _ = samples.tables(unscored=MISSING)
    with pytest.raises(InputError, match="18 of 20 .*1 no_face, 1 no_audio") as e:
        evaluate(videos)
    assert "test/0-1.mp4 (no_face)" in str(e.value)
    found = evaluate(videos, min_coverage=0.9)
    assert "2 videos not scored (1 no_face, 1 no_audio)" in found.summary
    assert found.coverage.to_json()["by_status"]["no_face"] == {"real": 1, "fake": 0}


def test_videos_without_a_score_can_count_as_wrong():
    videos, _ = samples.tables(separation=9, unscored=MISSING)
    threshold = threshold_choice.select(videos, "validation")
    found = evaluate(videos, threshold=threshold, unscored="wrong")
    assert found.estimates["videos/accuracy"].value == pytest.approx(18 / 20)
    # One real above all fakes and one fake below all reals: 19 of 100 pairs are wrong.
    assert found.estimates["videos/auc"].value == pytest.approx(81 / 100)
    assert "counted as wrong" in found.summary


def test_a_split_without_videos_or_scores_is_refused():
    videos, _ = samples.tables(splits=("validation",))
    with pytest.raises(InputError, match="the table has validation"):
        evaluate(videos)
    names = [f"test/{g}-{k}.mp4" for g in range(5) for k in range(4)]
    videos, _ = samples.tables(unscored=[(n, spec.TOO_SHORT) for n in names])
    with pytest.raises(InputError, match="none of the 20 videos"):
        evaluate(videos, unscored="leave_out", min_coverage=0)


def test_one_class_has_a_reason_in_every_output():
    videos, chunks = samples.tables()
    reals = videos.select(videos.label == spec.REAL)
    chunks = chunks.select(chunks.label == spec.REAL)
    found = evaluate(reals, chunks, threshold=thresholds.Threshold(0.8))
    assert "no AUC (there are no fakes)" in tables.render(found)
    assert found.to_json()["metrics"]["videos/auc"] == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "there are no fakes",
    }
    assert result_charts.picture(found)


@pytest.mark.usefixtures("valid_charts")
def test_the_picture_is_one():
    videos, chunks = samples.tables(unscored=MISSING)
    for options in (
        {"threshold": threshold_choice.select(videos, "validation")},
        {"unscored": "wrong"},
    ):
        found = evaluate(videos, chunks, **{"min_coverage": 0} | options)
        png = np.frombuffer(result_charts.picture(found), np.uint8)
        image = cv2.imdecode(png, cv2.IMREAD_COLOR) / 255
        assert image.shape[0] > 300
        assert image.std() > 0.1


def test_notes_name_what_makes_figures_flatter():
    videos, _ = samples.tables()
    threshold = threshold_choice.select(videos, "validation")
    notes = " ".join(evaluate(videos, split="validation", threshold=threshold).notes)
    assert "chosen on the validation split itself" in notes
    assert "5 groups only" in notes


def test_the_same_seed_gives_the_same_result():
    videos, chunks = samples.tables(separation=0.2)
    first, again, other = (
        evaluate(videos, chunks, seed=seed).to_json() for seed in (1, 1, 2)
    )
    assert first == again != other


def test_figures_by_split_and_by_attribute_of_the_group(tmp_path):
    videos, chunks = samples.tables(separation=0.2)
    women = [group in ("p0", "p1", "p2") for group in videos.group]
    gender = np.where(women, "women", "men").astype(object)
    videos = dataclasses.replace(videos, attributes={"group_gender": gender})
    score_files.write(tmp_path, videos, chunks)
    videos = score_files.read_videos(tmp_path / "scores.csv")
    found = evaluate(videos, chunks, split=evaluation.ALL).estimates
    for name, mask in (
        ("group_gender=women", np.array(women)),
        ("split=test", videos.split == "test"),
    ):
        expected = roc_auc_score(videos.label[mask] == spec.FAKE, videos.mds[mask])
        assert found[f"videos/{name}/auc"].value == pytest.approx(expected)
        assert f"chunks/{name}/auc" in found
    assert found["videos/auc"].value == pytest.approx(
        roc_auc_score(videos.label == spec.FAKE, videos.mds)
    )
    assert not any("split=" in name for name in evaluate(videos).estimates)
    assert "group_gender=women" in tables.render(evaluate(videos))


def test_an_attribute_that_names_rather_than_sorts_is_passed_over():
    videos, _ = samples.tables(groups=15)
    videos = dataclasses.replace(videos, attributes={"group_id": videos.video_id})
    found = evaluate(videos)
    assert not any("group_id" in name for name in found.estimates)
    assert "group_id has 60 different values" in " ".join(found.notes)


def test_scores_that_rank_nothing_or_the_wrong_way_round_are_named():
    videos, _ = samples.tables(separation=2)
    constant = dataclasses.replace(videos, scores={"mds": np.ones(len(videos))})
    found = evaluate(constant)
    assert found.estimates["videos/auc"].value == 0.5
    assert "all scores are 1" in " ".join(found.notes)
    turned = dataclasses.replace(videos, scores={"mds": -videos.mds})
    assert "reals score higher" in " ".join(evaluate(turned).notes)
    assert "reals score higher" not in " ".join(evaluate(videos).notes)


def test_videos_that_another_detector_passed_over_are_not_covered(tmp_path):
    videos, _ = samples.tables()
    score_files.write_videos(tmp_path / "scores.csv", videos)
    (tmp_path / "other.csv").write_text(
        "video,score\n"
        + "".join(
            f"{n},{m}\n"
            for n, m in zip(videos.video_id, videos.mds, strict=True)
            if n[-5] != "3"
        )
    )
    labels = score_files.read_labels(tmp_path / "scores.csv")
    other, _ = score_files.read_foreign(tmp_path / "other.csv", labels)
    with pytest.raises(InputError, match="15 of 20 .*5 no_score"):
        evaluate(other)
    found = evaluate(other, unscored="wrong")
    assert found.estimates["videos/auc"].value == pytest.approx(0.5)


@pytest.fixture
def two_scores(monkeypatch):
    """Videos with a second score, which is the first turned round; one lacks it."""
    monkeypatch.setitem(scores.SCORES, "second", "second score")
    videos, chunks = samples.tables(separation=0.2)
    second = -videos.mds
    second[np.flatnonzero(videos.split == "test")[0]] = np.nan
    both = {"mds": videos.mds, "second": second}
    return dataclasses.replace(videos, scores=both), chunks


def test_any_score_of_the_videos_is_evaluated_by_its_name(two_scores, tmp_path):
    videos, chunks = two_scores
    score_files.write(tmp_path, videos, chunks)
    videos = score_files.read_videos(tmp_path / "scores.csv")
    found = evaluate(videos, chunks, score="second", min_coverage=0)
    test = videos.select(videos.split == "test").select(slice(1, None))
    expected = roc_auc_score(test.label == spec.FAKE, -test.mds)
    assert found.estimates["videos/auc"].value == pytest.approx(expected)
    assert found.to_json()["score"] == "second"
    with pytest.raises(InputError, match="19 of 20 .*1 no_score"):
        evaluate(videos, chunks, score="second")
    with pytest.raises(
        InputError, match="no video has a score 'third', they have mds, second"
    ):
        evaluate(videos, chunks, score="third")


def test_a_threshold_is_for_one_score(two_scores, tmp_path):
    videos, chunks = two_scores
    chosen = threshold_choice.select(videos, "validation", score="second")
    assert -videos.mds.max() < chosen.value < -videos.mds.min()
    thresholds.write(tmp_path / "threshold.json", chosen)
    chosen = thresholds.read(tmp_path / "threshold.json")
    with pytest.raises(InputError, match="one of the score second"):
        evaluate(videos, threshold=chosen)
    found = evaluate(
        videos, chunks, threshold=chosen, score="second", unscored="wrong"
    ).estimates
    assert "videos/recall" in found
    assert "chunks/recall" not in found


def test_a_threshold_of_an_unknown_score_is_refused(tmp_path):
    path = tmp_path / "threshold.json"
    path.write_text('{"value": 0.7, "score": "third"}')
    with pytest.raises(InputError, match=r"threshold\.json: .*'third', expected .*mds"):
        thresholds.read(path)
