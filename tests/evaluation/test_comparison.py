import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation import samples
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation import comparison, score_files, scores

level = st.integers(0, 6).map(lambda x: x / 2)


@st.composite
def paired(draw):
    count = draw(st.integers(4, 14))
    fake = [
        True,
        True,
        False,
        False,
        *draw(st.lists(st.booleans(), min_size=count - 4, max_size=count - 4)),
    ]
    both = [draw(st.lists(level, min_size=count, max_size=count)) for _ in range(2)]
    return np.array(both, float), np.array(fake)


def slow_delong(first, second, fake):
    """Straight from the definition: every pair of a fake and a real."""
    wins = [
        np.array(
            [[(x > y) + 0.5 * (x == y) for y in score[~fake]] for x in score[fake]],
            float,
        )
        for score in (first, second)
    ]
    m, n = fake.sum(), (~fake).sum()
    auc = [w.mean() for w in wins]
    of_fakes = [w.mean(1) for w in wins]
    of_reals = [w.mean(0) for w in wins]

    def covariance(j, k):
        s10 = ((of_fakes[j] - auc[j]) * (of_fakes[k] - auc[k])).sum() / (m - 1)
        s01 = ((of_reals[j] - auc[j]) * (of_reals[k] - auc[k])).sum() / (n - 1)
        return s10 / m + s01 / n

    variance = covariance(0, 0) + covariance(1, 1) - 2 * covariance(0, 1)
    return auc[1] - auc[0], np.sqrt(max(variance, 0))


@settings(max_examples=100, deadline=None)
@given(paired())
def test_delong_agrees_with_a_slow_direct_computation(case):
    (first, second), fake = case
    found = comparison.delong(first, second, fake)
    difference, error = slow_delong(first, second, fake)
    assert found.difference == pytest.approx(difference, abs=1e-12)
    assert found.standard_error == pytest.approx(error, abs=1e-9)
    turned = comparison.delong(second, first, fake)
    assert turned.difference == pytest.approx(-found.difference, abs=1e-12)
    assert turned.p_value == found.p_value


def test_delong_is_true_to_its_level():
    rng = np.random.default_rng(0)
    fake = np.arange(120) < 60
    p = []
    for _ in range(300):
        shared = rng.normal(size=120) + fake
        first, second = (shared + rng.normal(size=120) for _ in range(2))
        p.append(comparison.delong(first, second, fake).p_value)
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.05)


def with_scores(videos, mds):
    return dataclasses.replace(videos, scores={"mds": np.asarray(mds, float)})


def test_the_interval_of_the_difference_is_paired():
    videos, _ = samples.tables(separation=0.1, groups=15)
    rng = np.random.default_rng(0)
    nearly = with_scores(videos, videos.mds + 0.01 * rng.normal(size=len(videos)))
    found = comparison.compare(videos, nearly, num_draws=300)
    low, high = found.difference.interval
    low_a, high_a = found.auc[0].interval
    # The same videos are drawn for both: what they share falls out.
    assert high - low < (high_a - low_a) / 3
    assert "no difference can be told" in found.summary


def test_it_names_the_videos_with_different_verdicts():
    videos, _ = samples.tables(separation=2)
    mds = videos.mds.copy()
    row = np.flatnonzero((videos.split == "test") & (videos.label == spec.FAKE))[0]
    mds[row] = 0
    found = comparison.compare(videos, with_scores(videos, mds), levels=(1.5, 1.5))
    assert [found.videos.video_id[r] for r in found.disagreed] == [videos.video_id[row]]
    (video,) = found.to_json()["disagreed"]
    assert video["called"] == ["fake", "real"]
    assert video["label"] == "fake"


def test_only_videos_that_both_scored_are_compared():
    missing = [("test/0-0.mp4", spec.NO_FACE)]
    first, _ = samples.tables(unscored=missing)
    second, _ = samples.tables()
    found = comparison.compare(first, second, num_draws=20)
    assert len(found.videos) == 19
    assert found.left_out == 1
    assert "1 video is left out" in " ".join(found.notes)
    with pytest.raises(InputError, match="expected two or more of each"):
        comparison.compare(first, second.select(second.split != "test"))


def test_scores_the_wrong_way_round_are_named():
    videos, _ = samples.tables(separation=2)
    found = comparison.compare(videos, with_scores(videos, -videos.mds), num_draws=50)
    assert "B ranks reals above fakes" in " ".join(found.notes)


def test_constant_scores_are_chance():
    videos, _ = samples.tables()
    found = comparison.compare(videos, with_scores(videos, np.ones(len(videos))))
    assert found.auc[1].value == 0.5
    assert found.rank_correlation is None


def test_scores_of_another_detector_are_joined_by_name(tmp_path):
    videos, _ = samples.tables(groups=2)
    score_files.write_videos(tmp_path / "scores.csv", videos)
    labels = score_files.read_labels(tmp_path / "scores.csv")
    assert not labels.scored.any()
    path = tmp_path / "other.csv"
    path.write_text("video,score\ntest/0-0.mp4,7\nelsewhere.mp4,8\n")
    assert score_files.is_foreign(path)
    found, matches = score_files.read_foreign(path, labels)
    assert matches.rows.tolist()[1] == -1
    assert found.video_id[found.scored].tolist() == ["test/0-0.mp4"]
    assert found.mds[found.scored] == 7
    assert set(found.status) == {spec.OK, scores.NO_SCORE}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\nx,1\n", "expected video,score"),
        ("video,score\n", "no rows"),
        ("video,score\nx,1\n", "none of its videos"),
        ("video,score\ntest/0-0.mp4,high\n", "line 2: score is 'high'"),
        ("video,score\ntest/0-0.mp4,nan\n", "line 2: score is 'nan'"),
        ("video,score\ntest/0-0.mp4,1\ntest/0-0.mp4,1\n", "line 3: .*already"),
    ],
)
def test_bad_files_of_other_detectors_are_refused(tmp_path, text, message):
    labels, _ = samples.tables(groups=1)
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(InputError, match=f"other.csv.*{message}"):
        score_files.read_foreign(tmp_path / "other.csv", labels)


def test_a_column_that_pandas_numbers_rows_by_is_no_score(tmp_path):
    labels, _ = samples.tables(groups=1)
    path = tmp_path / "other.csv"
    name = labels.video_id[0]
    for header in (",video,score", "Unnamed: 0,video,score"):
        path.write_text(f"{header}\n0,{name},7\n1,{labels.video_id[1]},8\n")
        assert score_files.is_foreign(path)
        found, matches = score_files.read_foreign(path, labels)
        assert (found.mds[0], found.mds[1], matches.notes) == (7, 8, [])
    # A column that has another name is not taken for it.
    path.write_text(f"frame,video,score\n0,{name},7\n")
    assert not score_files.is_foreign(path)


def test_names_with_another_folder_or_ending_are_found(tmp_path):
    known, _ = samples.tables(groups=1)
    named = [name.removesuffix(".mp4") for name in known.video_id]
    path = tmp_path / "other.csv"
    rows = [f"C:\\data\\{name}.wav,{row}\n" for row, name in enumerate(named)]
    path.write_text("video,score\n" + "".join(rows))
    found, matches = score_files.read_foreign(path, known)
    assert found.mds.tolist() == list(range(len(known)))
    assert f"{len(known)} videos were found by their names" in matches.notes[0]
