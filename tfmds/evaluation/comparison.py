"""Comparison: which of two detectors ranks the same videos better, and how surely."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation import bootstrap as bootstraps
from tfmds.evaluation import criteria, metrics
from tfmds.evaluation.bootstrap import Bootstrap, Estimate
from tfmds.evaluation.ranking import Sample, rank
from tfmds.evaluation.scores import MDS, VideoScores

# So many videos are named that the detectors disagree about.
_MAX_NAMED = 50


@dataclasses.dataclass(frozen=True)
class DeLong:
    """Test of the difference of two AUCs on the same videos.

    Attributes:
      difference: AUC of the second minus AUC of the first.
      standard_error: Of the difference.
      p_value: Two-sided, None where the standard error is 0.
    """

    difference: float
    standard_error: float
    p_value: float | None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two detectors on the videos that both scored.

    Attributes:
      names: Of the detectors.
      split: The split, or `all`.
      videos: The videos that both scored, `n`, their scores those of the first.
      scores: float64 `[2, n]`, of each detector.
      levels: Where each detector calls a video fake.
      level_origin: Where these levels come from.
      groups: Number of groups of the videos.
      left_out: Videos of the split that one of them did not score.
      auc: Of each.
      difference: AUC of the second minus AUC of the first; interval by bootstrap over
        groups, the same draws for both.
      delong: The test, which takes the videos for independent.
      rank_correlation: Spearman's, None where a detector's scores are all the same.
      notes: What a reader should know.
    """

    names: tuple[str, str]
    split: str
    videos: VideoScores
    scores: np.ndarray
    levels: tuple[float, float]
    level_origin: str
    groups: int
    left_out: int
    auc: tuple[Estimate, Estimate]
    difference: Estimate
    delong: DeLong
    rank_correlation: float | None
    notes: tuple[str, ...]

    @property
    def called_fake(self) -> np.ndarray:
        """What each calls fake, bool `[2, n]`."""
        return self.scores >= np.array(self.levels)[:, np.newaxis]

    @property
    def disagreed(self) -> np.ndarray:
        """Row numbers of the videos with different verdicts, the widest apart first."""
        first, second = self.called_fake
        rows = np.flatnonzero(first != second)
        places = np.argsort(np.argsort(self.scores, 1), 1)
        apart = np.abs(places[0] - places[1])[rows]
        return rows[np.argsort(-apart, kind="stable")]

    @property
    def summary(self) -> str:
        """The result in one sentence."""
        first, second = self.names
        interval = self.difference.interval
        if interval is None:
            verdict = "how sure that is cannot be said"
        elif interval[0] > 0:
            verdict = f"{second} ranks them better"
        elif interval[1] < 0:
            verdict = f"{first} ranks them better"
        else:
            verdict = "no difference can be told"
        test = ""
        if self.delong.p_value is not None:
            p = self.delong.p_value
            test = f", DeLong p {'below 0.001' if p < 0.001 else f'{p:.3f}'}"
        return (
            f"AUC {self.auc[0]} of {first} and {self.auc[1]} of {second} on"
            f" {len(self.videos)} videos of {self.groups} groups that both scored:"
            f" difference {_signed(self.difference)}{test}; {verdict}"
        )

    def to_json(self) -> dict[str, Any]:
        """All of it but the scores; names only the first videos in disagreement."""
        return {
            "format_version": spec.FORMAT_VERSION,
            "summary": self.summary,
            "names": list(self.names),
            "split": self.split,
            "videos": len(self.videos),
            "groups": self.groups,
            "left_out": self.left_out,
            "auc": [estimate.to_json() for estimate in self.auc],
            "difference": self.difference.to_json(),
            "delong": dataclasses.asdict(self.delong),
            "rank_correlation": self.rank_correlation,
            "levels": list(self.levels),
            "level_origin": self.level_origin,
            "disagreements": len(self.disagreed),
            "disagreed": [
                self.video_to_json(row) for row in self.disagreed[:_MAX_NAMED]
            ],
            "notes": list(self.notes),
        }

    def video_to_json(self, row: int) -> dict[str, Any]:
        """One video: its label, and score and verdict of each detector."""
        return {
            "video_id": self.videos.video_id[row],
            "label": spec.LABEL_WORDS[int(self.videos.label[row])],
            "manipulation": self.videos.manipulation[row],
            "scores": self.scores[:, row].tolist(),
            "called": ["fake" if x else "real" for x in self.called_fake[:, row]],
        }


def delong(first: np.ndarray, second: np.ndarray, fake: np.ndarray) -> DeLong:
    """DeLong's test of the difference of two AUCs on the same videos.

    DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); by midranks as in Sun and
    Xu, IEEE Signal Processing Letters 21 (2014).

    Args:
      first: float64 `[n]`, scores of one detector.
      second: float64 `[n]`, scores of the other.
      fake: bool `[n]`; both classes need two videos.
    """
    above = [_placements(score, fake) for score in (first, second)]
    of_fakes = above[1][0] - above[0][0]
    of_reals = above[1][1] - above[0][1]
    difference = float(of_fakes.mean())
    variance = of_fakes.var(ddof=1) / len(of_fakes)
    variance += of_reals.var(ddof=1) / len(of_reals)
    error = float(np.sqrt(variance))
    if error < 1e-12:
        return DeLong(difference, 0.0, None)
    return DeLong(difference, error, float(2 * stats.norm.sf(abs(difference) / error)))


def compare(
    first: VideoScores,
    second: VideoScores,
    *,
    names: tuple[str, str] = ("A", "B"),
    judged_by: tuple[str, str] = (MDS, MDS),
    split: str = "test",
    levels: tuple[float, float] | None = None,
    num_draws: int = 1000,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Comparison:
    """Compares two detectors on the videos of a split that both scored.

    Args:
      first: Scores of one detector.
      second: Scores of the other.
      names: What to call them.
      judged_by: Which score of each, one of `scores.SCORES`.
      split: Which split, or `all`.
      levels: Where each calls a video fake; None for the equal error rate of each on
        these very videos.
      num_draws: Draws of the bootstrap over groups.
      seed: Of the bootstrap.
      notes: What is to be known of how the scores were read.

    Raises:
      InputError: A video has two labels, too few videos are in common, or one has not
        the score.
    """
    first, second = first.judged_by(judged_by[0]), second.judged_by(judged_by[1])
    in_split = [v.select(np.isin(v.split, _splits(split))) for v in (first, second)]
    all_ids = set(in_split[0].video_id) | set(in_split[1].video_id)
    row_of = {name: row for row, name in enumerate(second.video_id)}
    rows = np.array(
        [
            (row, row_of[name])
            for row, name in enumerate(first.video_id)
            if name in row_of
        ],
        int,
    ).reshape(-1, 2)
    a, b = first.select(rows[:, 0]), second.select(rows[:, 1])
    wrong = np.flatnonzero((a.label != b.label) | (a.split != b.split))
    if len(wrong):
        row = wrong[0]
        raise InputError(
            f"the video {a.video_id[row]!r} is {_said(a, row)} for {names[0]} and"
            f" {_said(b, row)} for {names[1]}; compare scores of the same data set"
        )
    both = a.scored & b.scored & np.isin(a.split, _splits(split))
    a, b = a.select(both), b.select(both)
    fake = a.label == spec.FAKE
    if fake.sum() < 2 or (~fake).sum() < 2:
        raise InputError(
            f"{names[0]} and {names[1]} have {int((~fake).sum())} real and"
            f" {int(fake.sum())} fake scored videos of the split {split} in common,"
            " expected two or more of each; name another with --split, or check that"
            f" both call the videos by the same names, such as {first.video_id[0]!r}"
            f" and {second.video_id[0]!r}"
        )
    groups, num_groups = bootstraps.group_numbers(a.group, a.video_id)
    values = np.stack([a.values(judged_by[0]), b.values(judged_by[1])])
    samples = [Sample(value, fake, groups) for value in values]
    bootstrap = Bootstrap.draw(num_groups, num_draws, seed)
    draws = [_draw_auc(sample, bootstrap) for sample in samples]
    aucs = [float(metrics.auc(rank(sample))) for sample in samples]
    origin = "--thresholds"
    if levels is None:
        levels = (
            criteria.equal_error_rate(values[0][~fake], values[0][fake]),
            criteria.equal_error_rate(values[1][~fake], values[1][fake]),
        )
        origin = (
            "the equal error rate of each on these very videos, not what an evaluation"
            " judged them by: --thresholds=A.json,B.json takes that"
        )
    left_out = len(all_ids) - len(a)
    auc = (
        bootstraps.estimate(aucs[0], draws[0], num_groups),
        bootstraps.estimate(aucs[1], draws[1], num_groups),
    )
    return Comparison(
        names=names,
        split=split,
        videos=a,
        scores=values,
        levels=levels,
        level_origin=origin,
        groups=num_groups,
        left_out=left_out,
        auc=auc,
        difference=bootstraps.estimate(
            aucs[1] - aucs[0], draws[1] - draws[0], num_groups
        ),
        delong=delong(values[0], values[1], fake),
        rank_correlation=_rank_correlation(*values),
        notes=(*notes, *_notes(names, auc, left_out, num_groups, len(a))),
    )


def _splits(split: str) -> tuple[str, ...]:
    return (split,) if split in spec.SPLITS else spec.SPLITS


def _said(videos: VideoScores, row: int) -> str:
    return f"{spec.LABEL_WORDS[int(videos.label[row])]} in {videos.split[row]}"


def _placements(score: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of reals below each fake and of fakes above each real; ties count half."""
    fakes, reals = score[fake], score[~fake]
    ranks = stats.rankdata(np.concatenate([fakes, reals]))
    of_fakes = (ranks[: len(fakes)] - stats.rankdata(fakes)) / len(reals)
    of_reals = 1 - (ranks[len(fakes) :] - stats.rankdata(reals)) / len(fakes)
    return of_fakes, of_reals


def _draw_auc(sample: Sample, bootstrap: Bootstrap) -> np.ndarray:
    return np.concatenate(
        [metrics.auc(ranking) for ranking in bootstrap.rankings(sample, None)]
    )


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(stats.spearmanr(first, second).statistic)


def _signed(estimate: Estimate) -> str:
    text = str(estimate)
    return text if text.startswith("-") else f"+{text}"


def _notes(
    names: tuple[str, str],
    auc: tuple[Estimate, Estimate],
    left_out: int,
    num_groups: int,
    num_videos: int,
) -> list[str]:
    notes = []
    if left_out:
        notes.append(
            f"{left_out} video{'s are' if left_out > 1 else ' is'} left out:"
            f" {names[0]} or {names[1]} has no score"
        )
    for name, estimate in zip(names, auc, strict=True):
        if estimate.is_below(0.5):
            notes.append(
                f"{name} ranks reals above fakes: a higher score must mean more likely"
                " fake, negate the scores if it means real"
            )
    if num_groups < num_videos:
        notes.append(
            f"DeLong's test takes the {num_videos} videos for independent; those of"
            " one group are not, so trust the interval more"
        )
    return notes
