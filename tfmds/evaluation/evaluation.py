"""An evaluation: what a split's scores say, how surely, on whom, and who is missing."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation import localization, localization_metrics, metrics, scores
from tfmds.evaluation.bootstrap import Bootstrap, Estimate, group_numbers
from tfmds.evaluation.coverage import Coverage
from tfmds.evaluation.localization_metrics import Truth
from tfmds.evaluation.ranking import Sample
from tfmds.evaluation.scores import ChunkScores, VideoScores, chunk_rows
from tfmds.evaluation.thresholds import Threshold

VIDEOS = "videos"
CHUNKS = "chunks"
LOCALIZATION = "localization"
# Instead of a split: the videos of all.
ALL = "all"
# What to do with videos that have no score.
LEAVE_OUT = "leave_out"
WRONG = "wrong"
UNSCORED = (LEAVE_OUT, WRONG)

_MANIPULATION = "/manipulation="
# With fewer groups, resampling them says too little about others.
_FEW_GROUPS = 10
# A column of more different values names things, it does not sort them.
_MAX_VALUES = 20


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result for one split.

    Attributes:
      split: Which one, or `all`.
      score: By which score of the videos, one of `scores.SCORES`.
      unscored: `wrong` where videos without a score count as wrong, else `leave_out`.
      coverage: How many videos have a score.
      groups: How many groups they are of.
      threshold: Where a video is called fake; None for metrics without.
      estimates: Figures by name: `videos/auc`, `chunks/auc`, `localization/ap@0.5`;
        of one manipulation against all reals `videos/manipulation=lip_sync/auc`; of
        the videos with an attribute `videos/group_gender=men/auc`; of one split of
        all `videos/split=train/auc`. Of the head of a stream `visual/auc`, against
        the truth of that stream; of one manipulation against all reals, whichever
        stream that forged, `visual/manipulation=lip_sync/auc`; `visual/unknown`
        videos do not say which stream was forged.
      sample: The videos that were evaluated.
      notes: What a reader of the figures should know.
      videos: Their rows in the order of `sample`.
      chunks: Their chunks, None where there are none.
      left_out: The videos that were left out because they have no score.
    """

    split: str
    score: str
    unscored: str
    coverage: Coverage
    groups: int
    threshold: Threshold | None
    estimates: dict[str, Estimate]
    sample: Sample
    notes: tuple[str, ...]
    videos: VideoScores
    chunks: ChunkScores | None = None
    left_out: VideoScores | None = None

    @property
    def summary(self) -> str:
        """The result in one sentence."""
        auc = self.estimates[f"{VIDEOS}/auc"]
        count = len(self.sample.score)
        sentence = (
            f"AUC {auc}" if auc.value is not None else f"no AUC ({auc.reason})"
        ) + f" on {count} {self._of_split}videos of {self.groups} groups"
        missing = self.coverage.expected - self.coverage.scored
        if not missing:
            return f"{sentence}; all videos scored"
        wrong = ", counted as wrong" if self.unscored == WRONG else ""
        return (
            f"{sentence}; {missing} video{'s' if missing > 1 else ''} not scored"
            f" ({self.coverage.reasons()}){wrong}"
        )

    @property
    def _of_split(self) -> str:
        return "" if self.split == ALL else f"{self.split} "

    def to_json(self) -> dict[str, Any]:
        """All of it but the scores."""
        threshold = self.threshold and self.threshold.to_json()
        if threshold:
            del threshold["quantiles"]
        return {
            "format_version": spec.FORMAT_VERSION,
            "summary": self.summary,
            "split": self.split,
            "score": self.score,
            "groups": self.groups,
            "unscored": self.unscored,
            "coverage": self.coverage.to_json(),
            "threshold": threshold,
            "notes": list(self.notes),
            "metrics": {name: e.to_json() for name, e in self.estimates.items()},
        }


def evaluate(
    videos: VideoScores,
    chunks: ChunkScores | None,
    *,
    split: str,
    score: str = scores.MDS,
    threshold: Threshold | None = None,
    min_coverage: float = 0.99,
    unscored: str = LEAVE_OUT,
    num_draws: int = 1000,
    seed: int = 0,
    where: str = "the scores",
) -> Evaluation:
    """Evaluates the scores of a split.

    Args:
      videos: The table of videos.
      chunks: Their chunks; without them there are no metrics on chunks.
      split: Which split, or `all`.
      score: Which score of the videos, one of `scores.SCORES`.
      threshold: Where that score is called fake.
      min_coverage: Share of the videos that must have a score, where those without
        are left out.
      unscored: One of `UNSCORED`.
      num_draws: Draws of the bootstrap over groups.
      seed: Of the bootstrap.
      where: Names the table in an error.

    Raises:
      InputError: The split has no videos, too few of them have a score, or the
        threshold is one of another score.
    """
    if threshold is not None:
        threshold.check_score(score)
    videos = videos.judged_by(score, where)
    in_split = np.isin(videos.split, spec.SPLITS if split == ALL else [split])
    if not in_split.any():
        found = ", ".join(sorted(set(videos.split)))
        raise InputError(
            f"{where}: no video is of the {split} split, the table has {found};"
            " choose another with --split or score the data set's other splits"
        )
    rows = np.flatnonzero(in_split)
    coverage = Coverage.of(videos.select(rows))
    if unscored == LEAVE_OUT:
        coverage.check(min_coverage, f"{where}, split {split}")
        rows = rows[videos.scored[rows]]
    chosen = videos.select(rows)
    groups, num_groups = group_numbers(chosen.group, chosen.video_id)
    bootstrap = Bootstrap.draw(num_groups, num_draws, seed)
    sample = Sample(_values(chosen, score), chosen.label == spec.FAKE, groups)
    subsets, notes = _subsets(chosen, split)
    estimates: dict[str, Estimate] = dict(
        _figures(VIDEOS, sample, subsets, threshold, bootstrap)
    )
    if chunks is not None:
        chunks = chunks.judged_by(score)
        # Row of each chunk's video among the chosen, -1 where it is not chosen.
        row_among_chosen = np.full(len(videos), -1)
        row_among_chosen[rows] = np.arange(len(rows))
        of_video = row_among_chosen[chunk_rows(chunks.video_id, videos.video_id, where)]
        chunks, of_video = chunks.select(of_video >= 0), of_video[of_video >= 0]
        chunk_sample = Sample(
            chunks.distance, chunks.label == spec.FAKE, groups[of_video]
        )
        # The probability was fitted to videos, not to seconds.
        bare = threshold and dataclasses.replace(threshold, calibration=None)
        # A chunk has no score but those whose mean is the video's.
        bare = bare if score in scores.MEANS else None
        of_chunks = {name: mask[of_video] for name, mask in subsets.items()}
        estimates |= _figures(CHUNKS, chunk_sample, of_chunks, bare, bootstrap)
        if score == scores.FUSED:
            notes.append(
                "a chunk has no fused score: its figures, and those of localization,"
                " are of the distance of mouth and voice, as with the MDS"
            )
        if localization.has_periods(chosen):
            figures, more = _localize(chosen, chunks, threshold, groups, bootstrap)
            estimates |= figures
            notes += more
    heads = threshold.heads if threshold else {}
    for stream in spec.STREAMS:
        if stream in chosen.scores:
            figures = _head(
                stream, chosen, subsets, heads.get(stream), unscored, groups, bootstrap
            )
            estimates |= figures
    notes += _notes_on_heads(estimates)
    return Evaluation(
        split=split,
        score=score,
        unscored=unscored,
        coverage=coverage,
        groups=num_groups,
        threshold=threshold,
        estimates=estimates,
        sample=sample,
        notes=(
            *_notes(chosen, split, num_groups, threshold),
            *_notes_on_scores(sample, estimates[f"{VIDEOS}/auc"]),
            *notes,
        ),
        videos=chosen,
        chunks=chunks,
        left_out=videos.select(np.setdiff1d(np.flatnonzero(in_split), rows)),
    )


def _head(
    stream: str,
    videos: VideoScores,
    subsets: dict[str, np.ndarray],
    threshold: Threshold | None,
    unscored: str,
    groups: np.ndarray,
    bootstrap: Bootstrap,
) -> dict[str, Estimate]:
    """Figures of the head of a stream, see `Evaluation.estimates`."""
    videos = videos.judged_by(stream)
    own = videos.of_stream(stream)
    known = own.label != spec.UNKNOWN
    counted = videos.scored | (unscored == WRONG)
    found = {f"{stream}/unknown": Estimate(int((counted & ~known).sum()))}
    for name, mask in subsets.items():
        of_kind = name.startswith(_MANIPULATION)
        asked, rows = (videos, counted) if of_kind else (own, counted & known)
        sample = Sample(_values(asked, stream), asked.label == spec.FAKE, groups)
        if (mask & rows).any():
            part = {name: mask & rows}
            found |= _figures(stream, sample, part, threshold, bootstrap)
    return found


def _notes_on_heads(estimates: dict[str, Estimate]) -> list[str]:
    unknown = {
        stream: estimates[f"{stream}/unknown"].value
        for stream in spec.STREAMS
        if f"{stream}/unknown" in estimates
    }
    return [
        f"{count} of the fakes {'does' if count == 1 else 'do'} not say which stream"
        f" was forged (column forged): the figures of the {stream} head against its own"
        f" stream leave {'it' if count == 1 else 'them'} out"
        for stream, count in unknown.items()
        if count
    ]


def _notes_on_scores(sample: Sample, auc: Estimate) -> Iterator[str]:
    finite = sample.score[np.isfinite(sample.score)]
    if len(finite) > 1 and np.ptp(finite) == 0:
        yield (
            f"all scores are {finite[0]:g}: they rank nothing, and figures of ranking"
            " say nothing"
        )
    elif auc.is_below(0.5):
        yield (
            "reals score higher than fakes: a higher score must mean more likely fake,"
            " negate the scores if it means real"
        )


def _values(videos: VideoScores, score: str) -> np.ndarray:
    """The score; the worst there is for a video without one."""
    worst = np.where(videos.label == spec.FAKE, -np.inf, np.inf)
    return np.where(videos.scored, videos.values(score), worst)


def _subsets(
    videos: VideoScores, split: str
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Videos to look at on their own, bool `[n]` by name, and what is to be said."""
    subsets, notes = {"": np.ones(len(videos), bool)}, []
    fake = videos.label == spec.FAKE
    for name in _words(videos.manipulation[fake]):
        mask = ~fake | (videos.manipulation == name)
        subsets[f"{_MANIPULATION}{name}"] = mask
    attributes = dict(videos.attributes)
    if split == ALL:
        attributes["split"] = videos.split
    for attribute, column in attributes.items():
        values = _words(column)
        if len(values) > _MAX_VALUES:
            notes.append(
                f"{attribute} has {len(values)} different values, more than"
                f" {_MAX_VALUES}: there are no figures by it"
            )
            continue
        for value in values:
            subsets[f"/{attribute}={value}"] = column == value
    return subsets, notes


def _words(column: np.ndarray) -> list[str]:
    return sorted(set(column) - {""})


def _localize(
    videos: VideoScores,
    chunks: ChunkScores,
    threshold: Threshold | None,
    groups: np.ndarray,
    bootstrap: Bootstrap,
) -> tuple[dict[str, Estimate], list[str]]:
    if threshold is None or threshold.localizer is None:
        return {}, [
            "some videos are forged in a part, and the threshold has no levels for"
            " localization: choose it with python -m tfmds.select_threshold on a"
            " split that has such videos, with chunks.csv beside the scores"
        ]
    localizer = threshold.localizer
    usable = localization.can_be_localized(videos)
    notes = []
    if not usable.all():
        notes.append(
            "localization leaves out what is fake throughout, there is nothing to be"
            f" found in it: {(~usable).sum()} of {len(videos)} videos"
        )
    some = videos.select(usable)
    chunks = localization.chunks_of(some, chunks)
    proposals = localization.propose(some, chunks, localizer)
    measures = localization_metrics.evaluate(
        proposals, Truth.of(some.fake_periods), groups[usable], bootstrap
    )
    found = {f"{LOCALIZATION}/{name}": estimate for name, estimate in measures}
    hop = localization.hop_seconds(chunks)
    return found, [*notes, *localization.notes(localizer, hop)]


def _figures(
    level: str,
    sample: Sample,
    subsets: dict[str, np.ndarray],
    threshold: Threshold | None,
    bootstrap: Bootstrap,
) -> Iterator[tuple[str, Estimate]]:
    for subset, mask in subsets.items():
        for name, estimate in metrics.evaluate(
            sample.select(mask),
            threshold=None if threshold is None else threshold.value,
            probability=None if threshold is None else threshold.calibration,
            bootstrap=bootstrap,
        ):
            yield f"{level}{subset}/{name}", estimate


def _notes(
    videos: VideoScores, split: str, num_groups: int, threshold: Threshold | None
) -> Iterator[str]:
    if num_groups < _FEW_GROUPS:
        yield (
            f"the intervals come from {num_groups} groups only and are narrower than"
            " they should be"
        )
    if threshold is None:
        yield "no threshold was given: no verdicts, no metrics of verdicts"
        return
    if threshold.split and threshold.split in videos.split:
        yield (
            f"the threshold was chosen on the {threshold.split} split itself: its"
            " error rates here flatter"
        )
    yield from threshold.drift(videos)
