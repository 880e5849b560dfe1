"""Threshold choice: from the scored videos of a split to the thresholds they give."""

import collections
import dataclasses
from collections.abc import Callable

import numpy as np

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation import calibration, criteria, metrics, scores
from tfmds.evaluation.bootstrap import CONFIDENCE, Bootstrap, group_numbers
from tfmds.evaluation.ranking import Sample
from tfmds.evaluation.scores import VideoScores
from tfmds.evaluation.thresholds import Threshold, refuse_test

# What a threshold remembers of the scores it was chosen on.
_NUM_QUANTILES = 101


def select(
    videos: VideoScores,
    split: str,
    criterion: str = criteria.DEFAULT_CRITERION,
    *,
    score: str = scores.MDS,
    target: float | None = None,
    calibration_kind: str = calibration.LOGISTIC,
    scores_digest: str = "",
    model_id: str = "",
    num_draws: int = 500,
    seed: int = 0,
    where: str = "the scores",
) -> Threshold:
    """Chooses a threshold on the scored videos of a split.

    Args:
      videos: The table of videos.
      split: Train or validation.
      criterion: One of `criteria.CRITERIA`.
      score: Which score of the videos, one of `scores.SCORES`.
      target: The rate to aim at, for the criteria that have one.
      calibration_kind: How the probability is fitted.
      scores_digest: Of the table's file.
      model_id: Of the model that made the scores.
      num_draws: Draws of the bootstrap over groups.
      seed: Of the bootstrap.
      where: Names the table in an error.

    Raises:
      InputError: The split is test, lacks a class or the score, or target and
        criterion do not go together.
    """
    refuse_test(split, where)
    options = criteria.options(criterion, target)
    videos = videos.judged_by(score, where)
    videos = videos.select((videos.split == split) & videos.scored)
    groups, num_groups = group_numbers(videos.group, videos.video_id)
    sample = Sample(videos.values(score), videos.label == spec.FAKE, groups)
    real, fake = sample.score[~sample.fake], sample.score[sample.fake]
    if not len(real) or not len(fake):
        raise InputError(
            f"{where}: the {split} split has {len(real)} real and {len(fake)} fake"
            " videos with a score; a threshold needs both. Choose another split, score"
            " more videos, or let real mouths with other voices stand in for fakes"
            " (--mismatches, with --model)."
        )
    choose = criteria.CRITERIA[criterion]
    value = choose(real, fake, **options)
    bootstrap = Bootstrap.draw(num_groups, num_draws, seed)
    rates = dict(metrics.evaluate(sample, threshold=value, bootstrap=bootstrap))
    kinds = collections.Counter(videos.manipulation[sample.fake].tolist())
    # Chunks may be of several faces, or overlap. Of tables of before, and of other
    # detectors, it is not known.
    seconds = np.minimum(videos.seconds, videos.chunks)
    seconds = seconds[seconds > 0]
    return Threshold(
        value=value,
        score=score,
        criterion=criterion,
        target=target,
        split=split,
        counts={"real": len(real), "fake": len(fake), "groups": num_groups},
        manipulations=dict(sorted(kinds.items())),
        shortest_seconds=float(seconds.min()) if len(seconds) else None,
        interval=_interval(sample, bootstrap, lambda r, f: choose(r, f, **options)),
        false_positive_rate=rates["false_positive_rate"],
        recall=rates["recall"],
        scores_digest=scores_digest,
        model_id=model_id,
        notes=tuple(_notes(real, fake, criterion, target)),
        quantiles={
            word: tuple(np.quantile(some, np.linspace(0, 1, _NUM_QUANTILES)).tolist())
            for word, some in (("real", real), ("fake", fake))
        },
        calibration=calibration.fit(real, fake, calibration_kind),
    )


def select_heads(
    videos: VideoScores, split: str, *, seed: int = 0, where: str = "the scores"
) -> tuple[dict[str, Threshold], list[str]]:
    """Chooses where the head of each stream says that its stream was forged.

    At the equal error rate on the truth of the stream. A head that may do no better
    than chance on that split has no threshold: one whose AUC has an interval down to
    one half, or where a Mann-Whitney test finds no difference. On the train split
    none has: a head that knows the videos by heart looks better than it is.

    Args:
      videos: The table of videos.
      split: Train or validation.
      seed: Of the bootstrap.
      where: Names the table in an error.

    Returns:
      A threshold by stream, of the heads that have one, and why others have none.
    """
    # As in `drift`.
    from scipy import stats

    found, notes = {}, []
    for stream in spec.STREAMS:
        if stream not in videos.scores:
            continue
        if split == "train":
            notes.append(
                f"the {stream} head has no threshold: it was trained on the train"
                " split, where it looks better than elsewhere. Choose on validation"
            )
            continue
        own = videos.of_stream(stream).judged_by(stream)
        known = own.label != spec.UNKNOWN
        own = own.select((own.split == split) & own.scored & known)
        fake = own.label == spec.FAKE
        if fake.all() or not fake.any():
            notes.append(
                f"the {stream} head has no threshold: the {split} split has"
                f" {fake.sum()} videos whose {spec.STREAMS[stream]} is known to be"
                f" forged (column forged) and {(~fake).sum()} where it is not"
            )
            continue
        groups, num_groups = group_numbers(own.group, own.video_id)
        sample = Sample(own.values(stream), fake, groups)
        bootstrap = Bootstrap.draw(num_groups, seed=seed)
        auc = dict(metrics.evaluate(sample, bootstrap=bootstrap))["auc"]
        # Where the classes do not overlap there is no interval.
        chance = stats.mannwhitneyu(
            sample.score[fake], sample.score[~fake], alternative="greater"
        ).pvalue
        low = auc.interval[0] if auc.interval else 1.0
        tail = round((1 - CONFIDENCE) / 2, 4)
        if low <= 0.5 or chance > tail:
            notes.append(
                f"the {stream} head has no threshold: on {split} its AUC of forged"
                f" {spec.STREAMS[stream]} is {auc} on {num_groups} groups, which may be"
                f" chance (one-sided Mann-Whitney p {chance:.2g}; both the interval"
                f" above 0.5 and p up to {tail:g} are asked for)"
            )
            continue
        head = select(own, split, score=stream, seed=seed, where=where)
        found[stream] = dataclasses.replace(head, notes=(), quantiles={})
    return found, notes


def _interval(
    sample: Sample,
    bootstrap: Bootstrap,
    choose: Callable[[np.ndarray, np.ndarray], float],
) -> tuple[float, float] | None:
    values = []
    for weights in bootstrap.weights:
        times = weights[sample.group]
        real, fake = (
            np.repeat(sample.score[mask], times[mask])
            for mask in (~sample.fake, sample.fake)
        )
        if len(real) and len(fake):
            values.append(choose(real, fake))
    if len(values) < len(bootstrap.weights) / 2 or np.ptp(values) == 0:
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return float(low), float(high)


def _notes(
    real: np.ndarray, fake: np.ndarray, criterion: str, target: float | None
) -> list[str]:
    notes = []
    cuts = criteria.Cuts.of(real, fake)
    if np.min(fake) > np.max(real):
        notes.append(
            f"the classes do not overlap: every threshold above {np.max(real):.4g} and"
            f" up to {np.min(fake):.4g} is without error on this split"
        )
    elif np.median(fake) <= np.median(real):
        notes.append(
            "the classes overlap wholly: fakes do not score higher than reals, no"
            " threshold tells them apart"
        )
    elif (cuts.recall - cuts.fpr).max() < 0.2:
        notes.append(
            "the classes overlap nearly wholly: no threshold has a balanced accuracy"
            " above 0.6 on this split"
        )
    if target is not None:
        count, what = (
            (len(real), "real") if criterion == "target_fpr" else (len(fake), "fake")
        )
        share = target if criterion == "target_fpr" else 1 - target
        if count * share < 5:
            notes.append(
                f"a rate of {share:g} cannot be told from {count} {what} videos:"
                f" it is less than 5 of them"
            )
    return notes
