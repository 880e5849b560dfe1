import dataclasses

import numpy as np
import pytest

from tests.evaluation.lag_samples import record
from tfmds.evaluation import course, lag_evidence
from tfmds.evaluation.thresholds import Threshold
from tfmds.judgement import findings, verdict
from tfmds.judgement.findings import Finding


def spliced(*parts):
    """The course of one face, its parts as seconds and how late their sound is."""
    evidence, at = [], 0.0
    for seed, (seconds, offset) in enumerate(parts):
        starts, distances = record(seconds, offset, seed)
        evidence += lag_evidence.sum_up(starts + at, distances)
        at += seconds
    return course.trace(evidence)


def told(found, tau):
    return findings.of_stretches(found, Threshold(tau, score="stretches"))


def of(says, *some):
    return [(f.start_seconds, f.end_seconds) for f in some if f.says == says]


def test_a_part_is_named_from_the_threshold_on_and_unsure_below_it():
    found = spliced((8, 0.08), (7, None))
    called = told(found, found.score)
    assert verdict.of(called) == "fake"
    ((start, end),) = of(findings.DOES_NOT_FIT, *called)
    assert start == pytest.approx(8, abs=1.5)
    assert end == found.end_seconds[-1]
    spared = told(found, found.score + 0.01)
    assert verdict.of(spared) == "real"
    assert not of(findings.DOES_NOT_FIT, *spared)
    assert {f.reason for f in spared if f.says == "cannot_tell"} == {findings.UNSURE}


def test_findings_follow_on_each_other_without_overlap():
    for some in (
        told(spliced((8, 0.08), (7, None), (6, 0.08)), -9),
        told(spliced((8, 0.08), (8, -0.52)), 0),
    ):
        ends = [f.end_seconds for f in some]
        starts = [f.start_seconds for f in some]
        assert all(a < b for a, b in zip(starts, ends, strict=True))
        assert all(a <= b for a, b in zip(ends, starts[1:], strict=False))


def test_a_slip_has_the_offsets_of_both_sides_and_only_one_is_out_of_step():
    some = told(spliced((10, 0.08), (10, -0.52)), 0)
    assert verdict.of(some) == "out_of_step"
    fits = [f for f in some if f.offsets]
    assert fits[0].says == findings.FITS
    assert fits[0].offset_seconds == pytest.approx(0.08, abs=0.03)
    late = [f for f in fits if f.says == findings.OUT_OF_STEP]
    assert late[0].offset_seconds == pytest.approx(-0.52, abs=0.03)
    assert late[0].start_seconds == pytest.approx(10, abs=1.5)


def test_seconds_of_chance_within_a_forged_stretch_are_named_too():
    found = spliced((8, 0.08), (12, None))
    none = np.where(found.start_seconds < 8, 0.05, 0.9)
    none[[11, 12]] = 0.3
    none[2] = 0.55
    cut = np.zeros(len(none), bool)
    named = findings._named(none, 0.5, cut)
    # Neither the second that hardly stands out, nor what lies before.
    assert named.tolist() == (found.start_seconds >= 8).tolist()


FORGED = Finding("picture", findings.LOOKS_FORGED, 0, 4)
FITS = Finding("voice", findings.FITS, 0, 4)
LATE = Finding("voice", findings.OUT_OF_STEP, 4, 8)
NOT_TOLD = Finding("voice", findings.CANNOT_TELL, 0, 8, reason=findings.SILENT)


@pytest.mark.parametrize(
    ("some", "said"),
    [
        ([FITS], "real"),
        ([FITS, LATE], "out_of_step"),
        ([FITS, LATE, FORGED], "fake"),
        ([FORGED, NOT_TOLD], "fake"),
        ([FITS, dataclasses.replace(FORGED, decides=False)], "real"),
        ([dataclasses.replace(FORGED, decides=False), NOT_TOLD], "cannot_tell"),
        ([NOT_TOLD], "cannot_tell"),
        ([], "cannot_tell"),
    ],
)
def test_a_verdict_follows_from_findings_of_any_kind(some, said):
    assert verdict.of(some) == said
    assert verdict.of(some[::-1]) == said
