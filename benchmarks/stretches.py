"""What is found of videos that are forged in part, on clips of people.

    python -m benchmarks.stretches --clips=CLIPS --workdir=OUT [--model=EXPORT]

CLIPS is a folder of videos with INDEX.csv, as for benchmarks.alignment, with which it
shares OUT. Each clip's longest face is judged with its own voice, with another's voice
all the time, for its last 10 s, its last 5 s and 3 s in its middle, with its own voice
half a second early and late, and with 0.6 s of its voice cut out in the middle. Prints
a table: AUC of the stretch score, the shares called fake and out of step by a threshold
that calls --target_fpr of the own voices of other people fake (chosen on one half of
the people and told of the other, over --draws halves), and the share of stretches named
with an intersection over union of 0.5 and more; in brackets 95 % intervals over people.
Then the share of own voices called fake by length: pieces of 5 and 15 s, and clips of
several people joined, as scenes of a film, to 60 and 300 s.

Writes OUT/scores.csv, from which tfmds.select_threshold --score=stretches chooses.
"""

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks import alignment as clips_of_people
from benchmarks.alignment import AlignmentConfig, Voiced
from tfmds import spec
from tfmds.common import app
from tfmds.common.flags import setting
from tfmds.data.manifest import Period
from tfmds.evaluation import alignment, course, lag_evidence, score_files, scores
from tfmds.evaluation.course import Course
from tfmds.evaluation.lag_evidence import Evidence
from tfmds.evaluation.thresholds import Threshold
from tfmds.judgement import findings, verdict

_NUM_VOICES = 3
_CUT_OUT = 0.6
# Shorter clips are judged as a whole only.
_LONG = 14.0
_LENGTHS = (5, 15, 60, 300)
_IOU = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class StretchesConfig(AlignmentConfig):
    """Which clips, and how a threshold is chosen."""

    target_fpr: float = setting(
        0.05, "Share of own voices that the threshold calls fake.", low=0, high=1
    )
    draws: int = setting(200, "How often people are parted into halves.", low=1)


@dataclasses.dataclass(frozen=True)
class Case:
    """A clip with a voice.

    Attributes:
      name: Of the clip.
      group: Whose mouth it is.
      kind: How it was forged, empty where it was not.
      evidence: Of all seconds.
      periods: What of it is forged or out of step.
      seconds: How long it is.
    """

    name: str
    group: str
    kind: str
    evidence: list[Evidence]
    periods: tuple[Period, ...] = ()
    seconds: float = 0.0


def with_pieces(
    clip: Voiced, pieces: list[tuple[float, float, Voiced, float]]
) -> Voiced:
    """A mouth with voices from several clips.

    Args:
      clip: Whose mouth.
      pieces: From and to in seconds, whose voice, and from where in it; a chunk of a
        voice is of the piece that its middle lies in.
    """
    begin = clip.mouth_seconds[0]
    parts = []
    for start, end, other, first in pieces:
        seconds = other.voice_seconds - other.voice_seconds[0] - first + start
        inside = (seconds + 0.5 >= start - 1e-6) & (seconds + 0.5 < end - 1e-6)
        parts.append((seconds[inside] + begin, other.voice[inside]))
    seconds, voice = (np.concatenate(column) for column in zip(*parts, strict=True))
    kept = (seconds >= begin - 1e-6) & (seconds <= clip.mouth_seconds[-1] + 1e-6)
    return dataclasses.replace(clip, voice_seconds=seconds[kept], voice=voice[kept])


def evidence_of(voiced: Voiced, track: int = 0, later: float = 0.0) -> list[Evidence]:
    """Its evidence as tfmds.detect sums it up, some seconds later in a film."""
    return [
        cell
        for starts, distances in clips_of_people.records(voiced)
        for cell in lag_evidence.sum_up(starts + later, distances, track)
    ]


def cases(every: list[Voiced]) -> Iterator[Case]:
    """Each clip as it is and forged."""
    rng = np.random.default_rng(0)
    for clip in every:
        length = clip.seconds
        others = [c for c in every if c.group != clip.group]
        long = [c for c in others if c.seconds > min(length, 15) - 0.1] or others
        voices = rng.choice(len(long), min(_NUM_VOICES, len(long)), replace=False)

        def case(kind: str, pieces: list, *periods: Period, clip=clip) -> Case:
            return Case(
                clip.name,
                clip.group,
                kind,
                evidence_of(with_pieces(clip, pieces)),
                periods,
                clip.seconds,
            )

        yield case("", [(0, length, clip, 0)])
        for shift in (-0.5, 0.5):
            pieces = [(-1, length + 1, clip, -1 - shift)]
            yield case(spec.SHIFT, pieces, (0, length))
        if length >= _LONG:
            half = length / 2
            slip = [(0, half, clip, 0), (half, length, clip, half + _CUT_OUT)]
            yield case(spec.SLIP, slip, (half, length))
        for number in voices:
            other = long[number]
            yield case(spec.SWAP, [(0, length, other, 0)], (0, length))
            if length < _LONG:
                continue
            for name, start, end in (
                ("last_10_s", length - 10, length),
                ("last_5_s", length - 5, length),
                ("middle_3_s", length / 2 - 1.5, length / 2 + 1.5),
            ):
                pieces = [
                    (0, start, clip, 0),
                    (start, end, other, start),
                    (end, length + 1, clip, end),
                ]
                yield case(f"{spec.PART}_{name}", pieces, (start, end))


def said(found: Course, tau: float) -> tuple[str, list[Period]]:
    """Verdict and the stretches that are called forged or out of step."""
    told = findings.of_stretches(found, Threshold(tau, score=scores.STRETCHES))
    named = (findings.DOES_NOT_FIT, findings.OUT_OF_STEP)
    periods = [(f.start_seconds, f.end_seconds) for f in told if f.says in named]
    return verdict.of(told), periods


def overlap(found: list[Period], true: tuple[Period, ...]) -> float:
    """Intersection over union of stretches, counted in hundredths of a second."""

    def grid(periods) -> set[int]:
        return {i for a, b in periods for i in range(round(a * 100), round(b * 100))}

    ours, theirs = grid(found), grid(true)
    return len(ours & theirs) / max(1, len(ours | theirs))


def choose(own: np.ndarray, share: float) -> float:
    """The lowest threshold that calls at most this share of own voices fake."""
    counted = np.sort(own[~np.isnan(own)])[::-1]
    return float(counted[int(share * len(own))] + 1e-6)


@dataclasses.dataclass
class Judged:
    """Cases with their courses, and what is made of them."""

    every: list[Case]
    courses: list[Course]

    def of(self, kind: str) -> list[int]:
        return [i for i, case in enumerate(self.every) if case.kind == kind]

    def scores(self, rows: list[int]) -> np.ndarray:
        values = [self.courses[i].score for i in rows]
        return np.array([np.nan if v is None else v for v in values])


def measure(judged: Judged, config: StretchesConfig) -> None:
    """Prints the table by kind of forgery."""
    people = sorted({case.group for case in judged.every})
    rng = np.random.default_rng(1)
    own = judged.of("")
    values = judged.scores(own)
    group = np.array([judged.every[i].group for i in own])
    kinds = list(dict.fromkeys(case.kind for case in judged.every))
    shares: dict[str, list[tuple[float, ...]]] = {kind: [] for kind in kinds}
    taus = []
    for _ in range(config.draws):
        half = set(rng.choice(people, len(people) // 2, replace=False))
        chosen = np.isin(group, list(half))
        tau = choose(values[chosen], config.target_fpr)
        taus.append(tau)
        for kind in kinds:
            rows = [i for i in judged.of(kind) if judged.every[i].group not in half]
            shares[kind].append(_shares(judged, rows, tau))
    print(f"threshold {np.median(taus):.2f} [{min(taus):.2f}, {max(taus):.2f}]\n")
    print("| voice | clips | AUC | called fake | out of step | stretches named |")
    print("| --- | --- | --- | --- | --- | --- |")
    known = values[~np.isnan(values)]
    for kind in kinds:
        rows = judged.of(kind)
        some = judged.scores(rows)
        some = some[~np.isnan(some)]
        area = roc_auc_score([0] * len(known) + [1] * len(some), [*known, *some])
        cells = [
            f"{np.nanmean(column):.2f} [{np.nanquantile(column, 0.025):.2f},"
            f" {np.nanquantile(column, 0.975):.2f}]"
            for column in np.array(shares[kind]).T
        ]
        cells[2] = cells[2] if kind else ""
        name = kind or "own"
        print(
            f"| {name} | {len(rows)} | {f'{area:.3f}' if kind else ''} |"
            f" {' | '.join(cells)} |",
            flush=True,
        )


def _shares(judged: Judged, rows: list[int], tau: float) -> tuple[float, ...]:
    words, named = [], []
    for i in rows:
        word, periods = said(judged.courses[i], tau)
        words.append(word)
        is_called = word in (verdict.FAKE, verdict.OUT_OF_STEP)
        true = judged.every[i].periods
        named.append(is_called and overlap(periods, true) >= _IOU)
    return (
        float(np.mean([word == verdict.FAKE for word in words])),
        float(np.mean([word == verdict.OUT_OF_STEP for word in words])),
        float(np.mean(named)),
    )


def by_length(every: list[Voiced], tau: float) -> None:
    """Prints how many own voices are called fake, by length."""
    print("\n| own voices of | films | called fake | out of step |")
    print("| --- | --- | --- | --- |")
    rng = np.random.default_rng(2)
    for seconds in _LENGTHS:
        words = []
        for _ in range(40):
            film: list[Evidence] = []
            at = 0.0
            for number, k in enumerate(rng.permutation(len(every))):
                clip = every[k]
                take = min(seconds - at, clip.seconds)
                part = clip.cut(clip.mouth_seconds[0], take)
                film += evidence_of(part, number, at - part.mouth_seconds[0])
                at += np.ceil(take)
                if at > seconds - 1:
                    break
            words.append(said(course.trace(film), tau)[0])
        fake, out = (
            np.mean([word == kind for word in words])
            for kind in (verdict.FAKE, verdict.OUT_OF_STEP)
        )
        print(f"| {seconds} s | {len(words)} | {fake:.2f} | {out:.2f} |", flush=True)


def video_scores(judged: Judged) -> scores.VideoScores:
    """The cases as a table of videos; without those that are out of step alone."""
    rows = [
        i for i, c in enumerate(judged.every) if c.kind not in (spec.SHIFT, spec.SLIP)
    ]
    every = [judged.every[i] for i in rows]
    found = [alignment.align(case.evidence) for case in every]
    labels = [spec.FAKE if case.kind else spec.REAL for case in every]
    names = [f"{c.name}+{c.kind}{i}" if c.kind else c.name for i, c in enumerate(every)]
    return scores.VideoScores(
        video_id=scores.texts(names),
        label=np.array(labels, np.int8),
        split=scores.texts(["validation"] * len(every)),
        group=scores.texts([case.group for case in every]),
        manipulation=scores.texts([case.kind for case in every]),
        status=scores.texts([spec.OK] * len(every)),
        chunks=np.array([int(case.seconds) for case in every]),
        scores={
            scores.MDS: np.array([float(np.nanmin(a.distance)) for a in found]),
            scores.ALIGNED: np.array(
                [np.nan if a.aligned is None else a.aligned for a in found]
            ),
            scores.STRETCHES: judged.scores(rows),
        },
        seconds=np.array([case.seconds for case in every]),
    )


def main(config: StretchesConfig) -> None:
    """Prints the tables, writes the scores."""
    every = clips_of_people.gather(config)
    made = list(cases(every))
    judged = Judged(made, [course.trace(case.evidence) for case in made])
    score_files.write_videos(
        pathlib.Path(config.workdir) / score_files.VIDEOS_FILE, video_scores(judged)
    )
    if config.scores_only:
        return
    measure(judged, config)
    by_length(every, choose(judged.scores(judged.of("")), config.target_fpr))


if __name__ == "__main__":
    app.run(main)
