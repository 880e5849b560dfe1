"""Advice: what a reader should make of a verdict, in sentences.

How near it was to another one, what the method cannot see, what to do next, and what
was not looked at.
"""

from tfmds import spec
from tfmds.evaluation import scores
from tfmds.evaluation.thresholds import Threshold
from tfmds.judgement import verdict
from tfmds.judgement.judgement import VideoJudgement
from tfmds.reporting import sentences

_EVERY_SECOND = "Every second of the video shows a face that was looked at."


def borderline(judgement: VideoJudgement) -> str:
    """Why the verdict might have been another one; empty where that is not so."""
    chosen = judgement.threshold
    is_real = judgement.verdict == verdict.REAL
    if judgement.leans_elsewhere:
        # A forged picture whose mouth follows the voice is none of these.
        fakes = (
            "real pictures with another voice or a shifted one"
            if chosen.is_of_mismatches
            else "fake"
        )
        return (
            f"Borderline: were half of all videos {fakes},"
            f" {'more' if is_real else 'fewer'} than half of those with such a score"
            " would be. The limit is set so that few"
            f" {'real videos are called fake' if is_real else 'fakes are missed'}."
        )
    if judgement.is_borderline:
        return "Borderline: set on other videos, the limit might give another answer."
    return ""


def all_the_same(judgement: VideoJudgement) -> str:
    """Seconds that do not fit in a video that is not called fake; else empty."""
    suspicious = judgement.suspicious_periods
    if judgement.verdict == verdict.FAKE or judgement.by_stretches or not suspicious:
        return ""
    do = "do not fit" if judgement.score == scores.ALIGNED else "reach the threshold"
    return (
        f"{sentences.duration(judgement.seconds_suspicious)} of"
        f" {sentences.duration(judgement.seconds_scored)} {do} all the same"
        f" ({sentences.periods(suspicious)}); look at them below."
    )


def blind(chosen: Threshold) -> str:
    """What the method does not see, for readers of a verdict that is not fake."""
    unseen = {
        scores.VISUAL: "of other kinds than it was trained on, nor a forged voice",
        scores.AUDIO: "of other kinds than it was trained on, nor a forged picture",
    }
    if not unseen.keys().isdisjoint(chosen.made_of):
        named = [unseen[name] for name in chosen.made_of if name in unseen]
        kinds = named[0] if len(named) == 1 else "of other kinds than it was trained on"
        return f"This method does not see forgeries {kinds}."
    return (
        "This method does not see a face that was swapped or made by a computer and"
        " moves with the voice: mouth and voice of such a forgery fit."
    )


def next_steps(judgement: VideoJudgement) -> list[str]:
    """What a reader should do before believing the verdict, a sentence each."""
    if judgement.status != spec.OK:
        return []
    why = {
        verdict.FAKE: "dubbing, a voice from off screen, noise or bad compression look"
        " like a forgery",
        verdict.OUT_OF_STEP: "cutting, recording and uploading move the sound, without"
        " anybody having forged anything",
        verdict.CANNOT_TELL: "in a longer or better copy more of the mouth may be seen",
        verdict.REAL: "what fits may be forged in a way that this method does not see",
    }[judgement.verdict]
    return [
        f"Ask for the original file: {why}.",
        "Find out who published it first, and when.",
        "Hold it against other recordings of the same person and the same occasion.",
    ]


def looked_at(judgement: VideoJudgement) -> str:
    """Which part of a video no face was looked at in, as a sentence or two."""
    total = judgement.seconds_total
    if total is None:
        return (
            "The length of the video is not known, so it cannot be said which part was"
            " left out."
        )
    gaps = judgement.unscored_periods
    are_short = all(end - start < judgement.chunk_seconds for start, end in gaps)
    if gaps and are_short and judgement.chunks:
        rest = sum(b - a for a, b in gaps)
        return (
            f"All but {sentences.duration(rest)} of the video show a face that was"
            " looked at."
        )
    if gaps:
        others = [
            ", or it was left out (below)" if judgement.skipped_tracks else "",
            ", or the file could not be read there" if judgement.unread else "",
        ]
        return (
            f"No face was looked at from {sentences.periods(gaps)}: none was in view,"
            f" large and clear enough, for a whole second{''.join(others)}. Nothing is"
            f" said about {'this stretch' if len(gaps) == 1 else 'these stretches'}."
        )
    return "" if judgement.unread else _EVERY_SECOND


def dip(judgement: VideoJudgement) -> str:
    """What the curve of other times shows, as a sentence."""
    whole = judgement.whole
    if not whole.offset_is_clear or whole.offset_seconds is None:
        return (
            "There is no clear dip: over the whole video mouth and voice fit at none of"
            " these times."
        )
    at = f"{abs(whole.offset_seconds):.2f} s"
    side = "later" if whole.offset_seconds > 0 else "earlier"
    return f"There is a dip where the voice is taken {at} {side}: there they fit best."
