"""Scores of the heads: in files, in figures, and where a stream is called forged."""

import dataclasses
import itertools

import numpy as np
import pytest
from scipy import stats
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
from tfmds.evaluation.scores import VideoScores
from tfmds.reporting import result_pages, tables

FORGED = {"": "", "audio_swap": "sound", "face_swap": "picture"}


def with_heads(*, visual=0.5, audio=0.5, seed=0, **options):
    """Tables with columns of heads that tell their own stream so well."""
    videos, chunks = samples.tables(**options)
    rng = np.random.default_rng(seed)
    forged = scores.texts([FORGED[name] for name in videos.manipulation])
    rows = scores.chunk_rows(chunks.video_id, videos.video_id, "")
    heads = {}
    for stream, gain in (("visual", visual), ("audio", audio)):
        is_forged = (forged == spec.STREAMS[stream])[rows]
        logit = 4 * gain * is_forged + rng.normal(size=len(rows))
        heads[stream] = 1 / (1 + np.exp(-logit))
    chunks = dataclasses.replace(chunks, heads=heads)
    names = ("video_id", "label", "split", "group", "manipulation", "status")
    columns = {name: getattr(videos, name) for name in names}
    return VideoScores.from_chunks(chunks, **columns, forged=forged), chunks


def pairs_auc(fake, real):
    """Share of the pairs in which the fake scores higher."""
    won = [(f > r) + (f == r) / 2 for f, r in itertools.product(fake, real)]
    return sum(won) / len(won)


def test_a_video_has_the_mean_probability_of_its_chunks(tmp_path):
    videos, chunks = with_heads()
    for row, name in enumerate(videos.video_id):
        mine = [
            p
            for p, n in zip(chunks.heads["visual"], chunks.video_id, strict=True)
            if n == name
        ]
        assert videos.scores["visual"][row] == pytest.approx(sum(mine) / len(mine))
    score_files.write(tmp_path, videos, chunks)
    again, of_chunks, _ = score_files.read(tmp_path / "scores.csv")
    np.testing.assert_allclose(again.scores["audio"], videos.scores["audio"], rtol=1e-8)
    np.testing.assert_allclose(
        of_chunks.heads["visual"], chunks.heads["visual"], rtol=1e-8
    )


def test_files_without_heads_have_no_columns_and_are_read(tmp_path):
    videos, chunks = samples.tables()
    score_files.write(tmp_path, videos, chunks)
    for name in ("scores.csv", "chunks.csv"):
        header = (tmp_path / name).read_text().splitlines()[0].split(",")
        assert not {"visual", "audio", "fused"} & set(header)
    videos, chunks, _ = score_files.read(tmp_path / "scores.csv")
    assert set(videos.scores) == {"mds"}
    assert not chunks.heads
    with pytest.raises(InputError, match="the scores: .*'visual'.*--visual_weight"):
        evaluation.evaluate(videos, chunks, split="test", score="visual")
    found = evaluation.evaluate(videos, chunks, split="test", num_draws=20)
    assert not any(name.startswith(("visual", "audio")) for name in found.estimates)


def test_a_head_is_held_against_the_truth_of_its_own_stream():
    videos, chunks = with_heads(visual=0.3)
    found = evaluation.evaluate(videos, chunks, split="test", num_draws=50).estimates
    test = videos.select(videos.split == "test")
    value, kind = test.scores["visual"], test.manipulation
    picture, real = value[kind == "face_swap"], value[kind == ""]
    others = value[kind != "face_swap"]
    assert found["visual/auc"].value == pytest.approx(pairs_auc(picture, others))
    assert found["visual/fakes"].value == len(picture)
    assert found["visual/reals"].value == len(others)
    assert found["audio/auc"].value == pytest.approx(
        roc_auc_score(test.forged == "sound", test.scores["audio"])
    )
    for name in ("audio_swap", "face_swap"):
        assert found[f"visual/manipulation={name}/auc"].value == pytest.approx(
            pairs_auc(value[kind == name], real)
        )
    assert found["visual/unknown"].value == 0
    assert abs(found["visual/manipulation=audio_swap/auc"].value - 0.5) < 0.35


def test_fakes_that_do_not_say_are_left_out_and_counted():
    videos, chunks = with_heads()
    silent = (videos.manipulation == "face_swap") & (videos.group == "p1")
    videos = dataclasses.replace(
        videos, forged=scores.texts(np.where(silent, "", videos.forged))
    )
    found = evaluation.evaluate(videos, chunks, split="test", num_draws=50)
    test = videos.select((videos.split == "test") & ~silent)
    assert found.estimates["visual/unknown"].value == 1
    assert found.estimates["visual/auc"].value == pytest.approx(
        roc_auc_score(test.forged == "picture", test.scores["visual"])
    )
    # Whose manipulation is known is held against the reals all the same.
    assert found.estimates["visual/manipulation=face_swap/fakes"].value == 5
    assert any("1 of the fakes does not say" in note for note in found.notes)


def test_figures_of_heads_stand_in_table_and_page():
    videos, chunks = with_heads()
    found = evaluation.evaluate(videos, chunks, split="test", num_draws=50)
    table = tables.render(found)
    assert "visual head" in table
    page = result_pages.evaluation_page(found)
    assert 'id="heads"' in page
    assert str(found.estimates["audio/auc"]) in page
    plain = evaluation.evaluate(*samples.tables(), split="test", num_draws=50)
    assert 'id="heads"' not in result_pages.evaluation_page(plain)


def test_without_a_score_a_video_counts_as_wrong_for_each_head():
    missing = [("test/0-3.mp4", spec.NO_FACE)]
    videos, chunks = with_heads(unscored=missing)
    found = evaluation.evaluate(
        videos, chunks, split="test", num_draws=50, unscored="wrong"
    ).estimates
    test = videos.select(videos.split == "test")
    value = np.nan_to_num(test.scores["visual"], nan=-1)
    assert found["visual/auc"].value == pytest.approx(
        roc_auc_score(test.forged == "picture", value)
    )
    # To the audio head its sound is real, and should have scored low.
    value = np.nan_to_num(test.scores["audio"], nan=2)
    assert found["audio/auc"].value == pytest.approx(
        roc_auc_score(test.forged == "sound", value)
    )


def test_a_head_calls_forged_where_its_own_errors_are_equal(tmp_path):
    videos, _ = with_heads(groups=12, visual=0.5, audio=0)
    heads, notes = threshold_choice.select_heads(videos, "validation")
    # The other one was at chance.
    assert set(heads) == {"visual"}
    assert any("audio head has no threshold" in note for note in notes)
    mine = videos.select(videos.split == "validation")
    called = mine.scores["visual"] >= heads["visual"].value
    forged = mine.forged == "picture"
    missed, wrong = (~called[forged]).mean(), called[~forged].mean()
    others = []
    for value in mine.scores["visual"]:
        c = mine.scores["visual"] >= value
        others.append(abs((~c[forged]).mean() - c[~forged].mean()))
    assert abs(missed - wrong) <= min(others) + 1e-9
    chosen = dataclasses.replace(
        threshold_choice.select(videos, "validation"), heads=heads
    )
    thresholds.write(tmp_path / "threshold.json", chosen)
    again = thresholds.read(tmp_path / "threshold.json")
    assert again.heads["visual"].value == heads["visual"].value
    assert again.heads["visual"].score == "visual"


def test_why_a_head_has_no_threshold_is_said():
    videos, _ = with_heads(groups=12, visual=0.5, audio=0)
    _, (note,) = threshold_choice.select_heads(videos, "validation")
    mine = videos.select(videos.split == "validation")
    forged = mine.forged == "sound"
    value = mine.scores["audio"]
    p = stats.mannwhitneyu(value[forged], value[~forged], alternative="greater").pvalue
    assert f"p {p:.2g};" in note
    assert f"{len(set(mine.group))} groups" in note


def test_on_the_split_they_learned_from_heads_have_no_thresholds():
    videos, _ = with_heads(groups=12, visual=9, audio=9)
    split = np.where(videos.split == "validation", "train", videos.split)
    videos = dataclasses.replace(videos, split=scores.texts(split))
    heads, notes = threshold_choice.select_heads(videos, "train")
    assert not heads
    assert len(notes) == 2
    assert all("trained on the train split" in note for note in notes)


def test_a_head_that_never_errs_has_a_threshold():
    videos, _ = with_heads(visual=9)
    heads, _ = threshold_choice.select_heads(videos, "validation")
    value = videos.scores["visual"]
    forged = videos.forged == "picture"
    assert value[~forged].max() < heads["visual"].value <= value[forged].min()


def test_without_truth_of_streams_there_are_no_thresholds_of_heads():
    videos, _ = with_heads()
    videos = dataclasses.replace(videos, forged=scores.texts([""] * len(videos)))
    heads, notes = threshold_choice.select_heads(videos, "validation")
    assert not heads
    assert any("0 videos whose picture is known to be forged" in n for n in notes)


def test_thresholds_of_heads_go_with_their_own_score():
    fields = {"value": 0.5, "heads": {"visual": {"value": 0.4, "score": "mds"}}}
    with pytest.raises(InputError, match="head visual is one of the score mds"):
        thresholds.Threshold.from_json(fields, "t.json")
    fields["heads"]["visual"] = {"value": 0.4, "score": "visual", "split": "test"}
    with pytest.raises(InputError, match="t.json, head visual: a threshold chosen"):
        thresholds.Threshold.from_json(fields, "t.json")
