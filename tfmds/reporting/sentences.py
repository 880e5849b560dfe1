"""Sentences: a judgement, its findings and its threshold in words.

Terminal, pages, JSON and service say nothing about a verdict that does not stand here;
what a reader should make of it is in `advice`.
"""

import math
from collections.abc import Sequence

import numpy as np

from tfmds import spec
from tfmds.evaluation import alignment, scores
from tfmds.evaluation.alignment import Alignment
from tfmds.evaluation.thresholds import Threshold
from tfmds.judgement import findings, verdict
from tfmds.judgement.findings import Finding
from tfmds.judgement.judgement import VideoJudgement
from tfmds.judgement.seen import JudgedChunk

# What people call what the streams see and hear.
STREAM_WORDS = {"visual": "picture", "audio": "voice"}
VERDICT_WORDS = {
    verdict.FAKE: "called fake",
    verdict.REAL: "not called fake",
    verdict.OUT_OF_STEP: "out of step",
    verdict.CANNOT_TELL: "cannot tell",
}
# What a stretch says, in a legend or a table.
READING_WORDS = {
    findings.FITS: "fits",
    findings.DOES_NOT_FIT: "does not fit",
    findings.OUT_OF_STEP: "out of step",
    findings.LOOKS_FORGED: "looks forged",
    findings.LOOKS_REAL: "looks real",
    findings.CANNOT_TELL: "cannot tell",
}
_NOT_SPEAKING = "not speaking"
_REASON_WORDS = {
    findings.SILENT: "no voice is heard",
    findings.STILL: "no mouth in view moves",
    findings.TOO_SHORT: "there is too little to compare",
    findings.UNSURE: "they fit less, as happens in real videos",
}
# Offsets below this are none, in seconds.
_AUDIBLE = 0.04
# A lag that moves by less is one offset.
_MOVES = 0.12
_NOWHERE = "not even when it is taken a little earlier or later"
# A sentence names so many stretches of time at most.
_MAX_PERIODS = 6


def clock(seconds: float) -> str:
    """Seconds as `m:ss`, or `m:ss.s` where they are not whole; for tables."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    whole, tenth = divmod(rest, 10)
    return f"{minutes}:{whole:02d}" + (f".{tenth}" if tenth else "")


def period(start: float, end: float) -> str:
    """A stretch of time in whole seconds, such as `0:05 to 0:15`."""
    first, last = math.floor(start + 0.5), math.floor(end + 0.5)
    if first == last:
        first, last = math.floor(start), math.ceil(end)
    return f"{clock(first)} to {clock(last)}"


def periods(stretches: Sequence[tuple[float, float]]) -> str:
    """The same of several; of too many the first."""
    said = ", ".join(period(*stretch) for stretch in stretches[:_MAX_PERIODS])
    more = len(stretches) - _MAX_PERIODS
    return f"{said} and {more} more stretches" if more > 0 else said


def duration(seconds: float) -> str:
    """Such as `1 second`, `2.5 seconds`."""
    text = f"{seconds:.1f}".removesuffix(".0")
    return f"{text} second{'' if text == '1' else 's'}"


def explanation(judgement: VideoJudgement) -> str:
    """The verdict in words, what it rests on, what the streams look like."""
    if judgement.status != spec.OK:
        return (
            f"This video could not be judged: {judgement.reason or judgement.status}."
        )
    said = (
        verdict_in_words(judgement),
        untold(judgement),
        too_short(judgement),
        streams(judgement),
    )
    return " ".join(filter(None, said))


def verdict_in_words(judgement: VideoJudgement) -> str:
    """The verdict as a sentence or two."""
    if judgement.by_stretches:
        return _stretches_in_words(judgement)
    whole = judgement.whole
    value, threshold = judgement.value, judgement.threshold
    if scores.ALIGNED in threshold.made_of and whole.aligned is None:
        return _too_little(whole.seconds)
    if value is None:
        return f"Cannot tell: there is no {scores.SCORES[judgement.score]}."
    if judgement.score != scores.ALIGNED:
        return _by_value(judgement, value)
    if judgement.verdict == verdict.CANNOT_TELL:
        return _voice_from_elsewhere(judgement)
    step = offset(whole)
    if judgement.verdict == verdict.OUT_OF_STEP:
        return f"{step}; apart from that, mouth and voice fit."
    if judgement.verdict == verdict.REAL:
        return " ".join([_fit(judgement), *([f"{step}."] if step else [])])
    return f"The voice does not fit {_mouth(judgement)}, {_NOWHERE}."


def _by_value(judgement: VideoJudgement, value: float) -> str:
    is_fake = judgement.verdict == verdict.FAKE
    side = "at or above" if is_fake else "below"
    said = f"is {value:.3f}, {side} {judgement.threshold.value:.3f}."
    if judgement.score != scores.MDS:
        return f"The {scores.SCORES[judgement.score]} {said}"
    likeness = "less than" if is_fake else "as"
    return (
        f"Mouth and voice belong together {likeness} in real videos: their distance"
        f" {said}"
    )


def _fit(judgement: VideoJudgement) -> str:
    return f"Mouth and voice {'barely ' if judgement.is_borderline else ''}fit."


def _mouth(judgement: VideoJudgement) -> str:
    if judgement.skipped_tracks:
        return "any mouth that was looked at"
    return "the mouth" if len(judgement.tracks) == 1 else "any mouth in view"


def _too_little(seconds: float) -> str:
    return (
        f"Cannot tell: mouth and voice could be compared over {seconds:.1f} s, and at"
        f" least {alignment.MIN_SECONDS:g} s are needed."
    )


def _voice_from_elsewhere(judgement: VideoJudgement) -> str:
    if judgement.skipped_tracks:
        return (
            "Cannot tell: no mouth that was looked at moves; the voice is that of a"
            " face that was left out, or comes from elsewhere."
        )
    return (
        "Cannot tell: no mouth in view moves, so that the voice comes from elsewhere."
    )


def _stretches_in_words(judgement: VideoJudgement) -> str:
    found = [f for f in judgement.findings if f.decides]
    reasons = {f.reason for f in found}
    if judgement.verdict == verdict.CANNOT_TELL:
        if findings.STILL in reasons and findings.TOO_SHORT not in reasons:
            return _voice_from_elsewhere(judgement)
        if reasons == {findings.SILENT}:
            return "Cannot tell: no voice is heard."
        return _too_little(judgement.course.seconds)
    steps = in_step(found)
    if judgement.verdict == verdict.REAL:
        return " ".join(filter(None, [_fit(judgement), *steps]))
    if judgement.verdict == verdict.OUT_OF_STEP:
        return f"{' '.join(steps)} Apart from that, mouth and voice fit."
    forged = judgement.periods_that_say(findings.DOES_NOT_FIT)
    fits = judgement.periods_that_say(findings.FITS, findings.OUT_OF_STEP)
    said = f"From {periods(forged)} the voice does not fit {_mouth(judgement)}"
    if not fits:
        return f"{said}, {_NOWHERE}."
    after = all(end <= forged[0][0] + 1 for _, end in fits)
    before = all(start >= forged[-1][1] - 1 for start, _ in fits)
    rest = "before that" if after else "after that" if before else "otherwise"
    lags = [abs(o) for f in found for o in f.offsets or ()]
    return " ".join(
        [f"{said}; {rest} it does.", *(steps if max(lags) >= _MOVES else [])]
    )


def in_step(found: Sequence[Finding]) -> list[str]:
    """How early or late the sound is, stretch by stretch, as sentences."""
    fits = [f for f in found if f.offsets is not None]
    offsets = [o for f in fits for o in f.offsets or ()]
    if not offsets:
        return []
    if max(offsets) - min(offsets) < _MOVES:
        lengths = np.repeat([f.end_seconds - f.start_seconds for f in fits], 2)
        return [f"{_late(float(np.average(offsets, weights=lengths)))}."]
    said = []
    for f in fits[:_MAX_PERIODS]:
        first, last = f.offsets or (0.0, 0.0)
        when = f"From {period(f.start_seconds, f.end_seconds)}"
        if abs(last - first) < _MOVES:
            said.append(f"{when} {_late((first + last) / 2, 'the sound')}.")
        else:
            off = abs(last - first) / (f.end_seconds - f.start_seconds)
            said.append(
                f"{when} the sound creeps from {_by(first)} to {_by(last)}; its clock"
                f" is {off:.1%} off."
            )
    return said


def offset(found: Alignment) -> str:
    """How early or late the sound is, empty where that is not clear."""
    if found.offset_seconds is None or not found.offset_is_clear:
        return ""
    return _late(found.offset_seconds)


def _late(seconds: float, subject: str = "The sound") -> str:
    if abs(seconds) < _AUDIBLE:
        together = "Sound and picture are in step"
        return together if subject[0].isupper() else together[0].lower() + together[1:]
    return f"{subject} is {_by(seconds)}"


def _by(seconds: float) -> str:
    return f"{abs(seconds):.2f} s {'late' if seconds > 0 else 'early'}"


def untold(judgement: VideoJudgement) -> str:
    """Seconds of which nothing can be told, and why; empty where there are none."""
    if not judgement.by_stretches or judgement.verdict == verdict.CANNOT_TELL:
        return ""
    said = []
    for reason, words in _REASON_WORDS.items():
        stretches = [
            (f.start_seconds, f.end_seconds)
            for f in judgement.findings
            if f.says == findings.CANNOT_TELL and f.reason == reason
        ]
        if stretches:
            said.append(f"from {periods(stretches)}, where {words}")
    return f"Nothing can be told {'; '.join(said)}." if said else ""


def too_short(judgement: VideoJudgement) -> str:
    """That so little was compared, as a sentence; empty where it is enough."""
    if judgement.verdict == verdict.CANNOT_TELL or not judgement.is_short:
        return ""
    return (
        f"Only {judgement.seconds_compared:.1f} s could be compared; the threshold was"
        f" chosen on videos of {judgement.threshold.shortest_seconds:g} s and more, and"
        " errs more often on shorter ones."
    )


def streams(judgement: VideoJudgement) -> str:
    """Which stream looks forged by itself, empty where nothing is claimed."""
    said = judgement.looks_forged
    forged = [STREAM_WORDS[stream] for stream, is_so in said.items() if is_so]
    own = [STREAM_WORDS[stream] for stream, is_so in said.items() if not is_so]
    if len(forged) == len(STREAM_WORDS):
        return "By themselves, picture and voice both look forged."
    if len(own) == len(STREAM_WORDS):
        return "By themselves, neither picture nor voice looks forged."
    sentence = "; ".join(
        [f"the {word} looks forged" for word in forged]
        + [f"the {word} does not{'' if forged else ' look forged'}" for word in own]
        + [
            f"nothing is said of the {word}"
            for stream, word in STREAM_WORDS.items()
            if said and stream not in said
        ]
    )
    return f"By itself, {sentence}." if sentence else ""


def certainty(judgement: VideoJudgement) -> str:
    """How sure the verdict is, as one plain sentence; empty where that is not known."""
    shares, chosen = judgement.shares, judgement.threshold
    if shares is None:
        return ""
    if judgement.verdict == verdict.FAKE:
        kind, share, like = "real videos", shares["real"], "as suspicious"
        others = chosen.counts.get("real", 0)
    else:
        kind = "videos with another's voice" if chosen.is_of_mismatches else "fakes"
        share, like = shares["fake"], "as good"
        others = chosen.counts.get("fake", 0)
    # A share that is smaller than one of those videos is not known.
    least = math.ceil(100 / others) if others else 1
    count = round(100 * share)
    many = f"about {count}" if count >= least else f"fewer than {least}"
    verb = "look" if (count if count >= least else least) != 1 else "looks"
    return (
        f"Of 100 {kind} like those the program was tried on, {many} {verb} {like} as"
        " this one."
    )


def moves(judgement: VideoJudgement) -> bool:
    """Whether the sound is not early or late by one and the same time."""
    offsets = [o for f in judgement.findings if f.decides for o in f.offsets or ()]
    return bool(offsets) and max(offsets) - min(offsets) >= _MOVES


def finding(found: Finding) -> str:
    """One finding as a sentence."""
    when = period(found.start_seconds, found.end_seconds)
    if found.says == findings.CANNOT_TELL:
        return f"{when}: cannot tell; {_REASON_WORDS.get(found.reason, found.reason)}."
    said = {
        findings.FITS: "mouth and voice fit",
        findings.DOES_NOT_FIT: "the voice does not fit any mouth in view",
        findings.OUT_OF_STEP: "mouth and voice fit, out of step",
        findings.LOOKS_FORGED: f"the {found.kind} looks forged",
        findings.LOOKS_REAL: f"the {found.kind} does not look forged",
    }[found.says]
    if found.offset_seconds is not None:
        said += f"; {_late(found.offset_seconds, 'the sound')}"
    return f"{when}: {said}."


def reading(judgement: VideoJudgement, chunk: JudgedChunk) -> str:
    """What is said of one second of a face, in a table or at a bar."""
    if judgement.score in scores.OF_LAGS:
        if judgement.speaks(chunk.track) is False:
            return _NOT_SPEAKING
        return READING_WORDS[judgement.reading(chunk)]
    if judgement.score == scores.FUSED:
        return VERDICT_WORDS[judgement.verdict]
    is_high = judgement.is_suspicious(chunk)
    return "suspicious" if is_high else "below the threshold"


def not_compared(start: float, end: float) -> str:
    """That a stretch has no face with a voice."""
    return f"{period(start, end)}: not looked at, no face is in view with a voice."


def offset_at(start: float, seconds: float) -> str:
    """How early or late the sound is from a time on."""
    return f"{clock(start)}: {_late(seconds, 'the sound')}."


def threshold(chosen: Threshold) -> str:
    """A threshold and what it promises, in one sentence."""
    low, high = chosen.interval or (None, None)
    interval = "" if low is None else f" [{low:.4g}, {high:.4g}]"
    return (
        f"threshold {chosen.value:.4g}{interval} of the {scores.SCORES[chosen.score]}"
        f" by {chosen.criterion} on"
        f" {chosen.counts['real']} real and {chosen.counts['fake']} fake {chosen.split}"
        f" videos of {chosen.counts['groups']} groups; there it calls"
        f" {chosen.recall} of the fakes and {chosen.false_positive_rate} of the reals"
        " fake"
    )


def thresholds(chosen: Threshold) -> list[str]:
    """The same of it and of what was chosen with it, a sentence each."""
    more = [x.summary for x in (chosen.fusion, chosen.localizer) if x is not None]
    heads = [
        f"forged {spec.STREAMS[stream]}: {threshold(head)}"
        for stream, head in chosen.heads.items()
    ]
    return [threshold(chosen), *more, *heads]


def whole_only(chosen: Threshold) -> str:
    """That a threshold judges videos as a whole, empty where it does not."""
    if chosen.score == scores.STRETCHES:
        return ""
    return (
        f"this model's threshold is one of the {scores.SCORES[chosen.score]}, which"
        " judges a video as a whole: a part that is forged may be missed. Choose one"
        " with python -m tfmds.select_threshold --score=stretches"
    )


def legend(chosen: Threshold) -> str:
    """What the score tells and how it is read, for readers of a verdict."""
    tells = [
        f"the {scores.SCORES[name]} tells {scores.TELLS[name]}"
        for name in chosen.made_of
    ]
    if chosen.fusion:
        tells = [f"the {scores.SCORES[chosen.score]} weighs these together", *tells]
    said = "; ".join(tells)
    return (
        f"{said[0].upper()}{said[1:]}. The lower the score, the more like a real"
        " recording; from the threshold on a video is called fake."
    )
