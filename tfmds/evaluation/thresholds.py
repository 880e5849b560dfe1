"""Thresholds: where a score is called fake, how that was chosen, and threshold.json."""

import collections
import dataclasses
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from tfmds import spec
from tfmds.common import files, json_files
from tfmds.common.errors import InputError
from tfmds.evaluation import calibration, criteria, metrics, scores
from tfmds.evaluation.bootstrap import CONFIDENCE, Bootstrap, Estimate, group_numbers
from tfmds.evaluation.calibration import Calibration
from tfmds.evaluation.fusion import Fusion
from tfmds.evaluation.localization import Localizer
from tfmds.evaluation.ranking import Sample
from tfmds.evaluation.scores import VideoScores

FILE = "threshold.json"
_HINT = "Make one with python -m tfmds.select_threshold."

# What a threshold remembers of the scores it was chosen on.
_NUM_QUANTILES = 101
# Scores differ from those where a chance of such a difference is below this ...
_DRIFT_SIGNIFICANCE = 0.01
# ... and the share of videos that moved is above this: in a large table everything is
# significant.
_DRIFT_SHARE = 0.2


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A threshold and where it comes from.

    Attributes:
      value: Tau; a video is called fake where its score >= tau.
      score: Which score, one of `scores.SCORES`.
      criterion: How it was chosen.
      target: The rate that the criterion aimed at, where it has one.
      split: The split it was chosen on, never test.
      counts: Reals, fakes and groups it was chosen on.
      manipulations: How many of these fakes there were of each kind.
      shortest_seconds: The least that was looked at of a video it was chosen on: its
        chunks, at most its length; None where that is not known.
      interval: 95 % interval of `value` by bootstrap over groups.
      false_positive_rate: Share of the reals of that split that it calls fake.
      recall: Share of the fakes of that split that it calls fake.
      scores_digest: SHA-256 of the score file.
      model_id: Which model made the scores, empty where it is not known.
      notes: What its user should know.
      quantiles: Scores of each class at equal shares, from the lowest to the highest.
      calibration: Probability of being fake by score.
      localizer: How chunk distances become fake periods; None where the split had no
        videos that are forged in a part.
      fusion: How other scores make the fused one, where this is a threshold of that.
      heads: By stream, where the score of its head says that the stream was forged;
        those that tell it on that split at all.
    """

    value: float
    score: str = scores.MDS
    criterion: str = ""
    target: float | None = None
    split: str = ""
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    manipulations: dict[str, int] = dataclasses.field(default_factory=dict)
    shortest_seconds: float | None = None
    interval: tuple[float, float] | None = None
    false_positive_rate: Estimate = Estimate(None)
    recall: Estimate = Estimate(None)
    scores_digest: str = ""
    model_id: str = ""
    notes: tuple[str, ...] = ()
    quantiles: dict[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    calibration: Calibration | None = None
    localizer: Localizer | None = None
    fusion: Fusion | None = None
    heads: dict[str, "Threshold"] = dataclasses.field(default_factory=dict)

    @property
    def made_of(self) -> tuple[str, ...]:
        """Scores that must be measured of a video that is judged by it."""
        return self.fusion.names if self.fusion else (self.score,)

    @property
    def is_of_mismatches(self) -> bool:
        """Whether its fakes were real pictures with other voices or shifted ones."""
        return bool(self.manipulations) and all(
            kind.startswith(spec.VOICE) for kind in self.manipulations
        )

    def to_json(self) -> dict[str, Any]:
        """Everything a reader needs to judge it."""
        low, high = self.interval or (None, None)
        heads = {stream: head.to_json() for stream, head in self.heads.items()}
        return {
            "format_version": spec.FORMAT_VERSION,
            "value": self.value,
            "score": self.score,
            "low": low,
            "high": high,
            "criterion": self.criterion,
            "target": self.target,
            "split": self.split,
            "counts": self.counts,
            "manipulations": self.manipulations,
            "shortest_seconds": self.shortest_seconds,
            "false_positive_rate": self.false_positive_rate.to_json(),
            "recall": self.recall.to_json(),
            "scores_digest": self.scores_digest,
            "model_id": self.model_id,
            "notes": list(self.notes),
            "calibration": self.calibration and self.calibration.to_json(),
            "localization": self.localizer and self.localizer.to_json(),
            "quantiles": {word: list(q) for word, q in self.quantiles.items()},
            **({"fusion": self.fusion.to_json()} if self.fusion else {}),
            **({"heads": heads} if heads else {}),
        }

    @classmethod
    def from_json(cls, fields: Any, where: str) -> "Threshold":
        """Reads what `to_json` wrote; `where` names the source in an error.

        Only `value` must be there, so that a threshold can be written by hand.

        Raises:
          InputError: It cannot be read, a number is not finite, or it was chosen on
            the test split.
        """
        json_files.check_finite(fields, where, "the threshold", _HINT)
        heads = {}
        if isinstance(fields, dict):
            fields = _with_interval({json_files.VERSION: spec.FORMAT_VERSION} | fields)
            fields["localizer"] = fields.pop("localization", None)
            for name in ("false_positive_rate", "recall"):
                if isinstance(fields.get(name), dict):
                    fields[name] = _with_interval(fields[name])
            if isinstance(fields.get("heads"), dict):
                heads = {
                    stream: cls.from_json(head, f"{where}, head {stream}")
                    for stream, head in fields.pop("heads").items()
                }
        fields = json_files.check_version(
            fields, spec.FORMAT_VERSION, where, "a threshold", _HINT
        )
        threshold = json_files.convert(fields, cls, where, "the threshold", _HINT)
        threshold = dataclasses.replace(threshold, heads=heads)
        if threshold.score not in scores.SCORES:
            raise InputError(
                f"{where}: a threshold of the score {threshold.score!r}, expected one"
                f" of {', '.join(scores.SCORES)}"
            )
        if (threshold.score == scores.FUSED) != (threshold.fusion is not None):
            raise InputError(
                f"{where}: a threshold of the score {threshold.score} with"
                f" {'' if threshold.fusion else 'no '}weights of the fused score"
                f" (fusion); they go together. {_HINT}"
            )
        for stream, head in threshold.heads.items():
            if stream not in spec.STREAMS or head.score != stream:
                raise InputError(
                    f"{where}: the threshold of the head {stream} is one of the score"
                    f" {head.score}, expected heads {', '.join(spec.STREAMS)} with"
                    f" thresholds of their own score. {_HINT}"
                )
        refuse_test(threshold.split, where)
        return threshold

    def completed(self, videos: VideoScores, where: str = "the videos") -> VideoScores:
        """The videos with the score that this is of, where it is made of others.

        Raises:
          InputError: No video has one of these; `where` names their table.
        """
        return self.fusion.added_to(videos, where) if self.fusion else videos

    def check_score(self, score: str) -> None:
        """Raises InputError where it is to be applied to another score."""
        if score != self.score:
            raise InputError(
                f"the threshold is one of the score {self.score}, and the videos are"
                f" judged by {score}; use --score={self.score}, or choose another"
                f" threshold with python -m tfmds.select_threshold --score={score}"
            )

    def drift(self, videos: VideoScores) -> list[str]:
        """Says for which classes the scores are elsewhere than where it was chosen.

        A Kolmogorov-Smirnov test of each class against the quantiles.

        Args:
          videos: As `VideoScores.judged_by` its score gives them; other labels than
            real and fake are passed over.
        """
        # scipy.stats starts slowly, and who judges single videos needs none of it.
        from scipy import stats

        notes = []
        for word, label in spec.LABELS.items():
            known = self.quantiles.get(word, ())
            mask = videos.scored & (videos.label == label)
            found = videos.values(self.score)[mask]
            if len(known) < 2 or not len(found):
                continue
            distance = _largest_difference(np.asarray(known), found)
            count = self.counts.get(word, len(known))
            effective = count * len(found) / (count + len(found))
            chance = stats.kstwobign.sf(distance * np.sqrt(effective))
            if distance > _DRIFT_SHARE and chance < _DRIFT_SIGNIFICANCE:
                notes.append(
                    f"the {scores.SCORES[self.score]} of {word} videos is elsewhere"
                    " than where the threshold was chosen: median"
                    f" {np.median(found):.3g} instead of"
                    f" {np.median(known):.3g} (Kolmogorov-Smirnov distance"
                    f" {distance:.2f}); choose a threshold on videos of this kind"
                )
        return notes


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


def write(path: os.PathLike | str, threshold: Threshold) -> None:
    """Writes threshold.json, whole or not at all."""
    files.write_json(path, threshold.to_json())


def read(path: os.PathLike | str) -> Threshold:
    """Reads threshold.json; raises InputError as `Threshold.from_json`."""
    return Threshold.from_json(json_files.read(path, "a threshold", _HINT), str(path))


def refuse_test(split: str, where: str) -> None:
    """Raises InputError where a threshold would be chosen on the test split."""
    if split == "test":
        raise InputError(
            f"{where}: a threshold chosen on the test split would be tested on what it"
            " was chosen on; choose it on validation or train"
        )


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


def _largest_difference(quantiles: np.ndarray, values: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance of values from a distribution of known quantiles."""
    values = np.sort(values)
    shares = np.linspace(0, 1, len(quantiles))
    expected = np.interp(values, quantiles, shares, left=0, right=1)
    found = np.arange(len(values) + 1) / len(values)
    return float(max((found[1:] - expected).max(), (expected - found[:-1]).max()))


def _with_interval(fields: dict[str, Any]) -> dict[str, Any]:
    """`low` and `high` as the interval that they are, where both are there."""
    bounds = fields.get("low"), fields.get("high")
    return fields | {"interval": None if None in bounds else bounds}
