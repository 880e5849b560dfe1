"""Verdict: what follows for a video from its findings, by one table.

| where a finding that decides says | the video is | how often that is wrong |
| --- | --- | --- |
| the voice does not fit, the picture looks forged | `fake` | as its threshold allows |
| it fits, but out of step | `out_of_step` | offsets are told where they are clear |
| it fits, the picture looks real | `real` | as often as forgeries are missed |
| nothing else | `cannot_tell` | |

The first row that holds counts. Each kind of evidence has a threshold of its own, which
names the share of real videos that it calls fake; a video is fake where one kind says
so, so that the shares of several kinds add up. What cannot tell changes nothing:
silence or a still picture makes a video neither fake nor real.
"""

from collections.abc import Iterable

from tfmds.judgement import findings
from tfmds.judgement.findings import Finding

REAL = "real"
FAKE = "fake"
# Mouth and voice fit, but not at the same time.
OUT_OF_STEP = "out_of_step"
CANNOT_TELL = "cannot_tell"
VERDICTS = (REAL, FAKE, OUT_OF_STEP, CANNOT_TELL)

# What findings say, and the verdict that follows; the first that holds.
RULES = (
    ((findings.DOES_NOT_FIT, findings.LOOKS_FORGED), FAKE),
    ((findings.OUT_OF_STEP,), OUT_OF_STEP),
    ((findings.FITS, findings.LOOKS_REAL), REAL),
)


def of(found: Iterable[Finding]) -> str:
    """The verdict of a video, one of `VERDICTS`."""
    said = {finding.says for finding in found if finding.decides}
    for words, verdict in RULES:
        if not said.isdisjoint(words):
            return verdict
    return CANNOT_TELL
