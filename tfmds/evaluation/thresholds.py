"""Thresholds: where a score is called fake, how that was chosen, and threshold.json."""

import dataclasses
import os
from typing import Any

import numpy as np

from tfmds import spec
from tfmds.common import files, json_files
from tfmds.common.errors import InputError
from tfmds.evaluation import scores
from tfmds.evaluation.bootstrap import Estimate
from tfmds.evaluation.calibration import Calibration
from tfmds.evaluation.fusion import Fusion
from tfmds.evaluation.localization import Localizer
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
