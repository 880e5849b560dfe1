import dataclasses
import json
import re

import pytest

from tests.evaluation.lag_samples import evidence, record, spliced
from tests.reporting.test_video_page import Text
from tfmds.evaluation import lag_evidence
from tfmds.evaluation.thresholds import Threshold
from tfmds.judgement.judgement import VideoJudgement
from tfmds.judgement.seen import JudgedChunk, SkippedTrack
from tfmds.reporting import sentences, timeline, video_charts, video_page

pytestmark = pytest.mark.usefixtures("valid_charts")


def judged(found, tracks=(0,), seconds=16.0, **fields):
    chunks = [
        JudgedChunk(track, float(at), 1.2, offset_distance=1.1, mismatch_distance=1.3)
        for track in tracks
        for at in range(int(seconds))
    ]
    fields = {"seconds_total": seconds} | fields
    return VideoJudgement(
        "a.mp4",
        "ok",
        Threshold(-1.0, score="stretches"),
        chunks=tuple(chunks),
        evidence=tuple(found),
        **fields,
    )


def half_dubbed(**fields):
    return judged(spliced((8, 0.08), (8, None)), **fields)


def seconds_of(text):
    minutes, rest = text.split(":")
    return 60 * int(minutes) + int(rest)


def test_the_first_lines_say_from_when_to_when_the_voice_does_not_fit():
    page = video_page.video_page(half_dubbed())
    text = Text(page).text
    head = text[text.index("Called fake") :][:140]
    found = re.match(
        r"Called fake\s+From (\d+:\d\d) to (\d+:\d\d) the voice does not fit the mouth;"
        " before that it does[.]",
        head,
    )
    assert found, head
    assert seconds_of(found[1]) == pytest.approx(8, abs=1)
    assert seconds_of(found[2]) == 16
    # What it means for the reader comes before any figure.
    places = [
        text.index(said)
        for said in ("does not fit", "What to do next", "original file", "Figures, for")
    ]
    assert places == sorted(places)
    for word in ("MDS", "chunk", "mismatch", "target recall"):
        before = text[: text.index("Figures, for those who know")]
        assert word not in before.replace("chunks/", ""), word


def test_the_strip_covers_the_video_with_what_is_said_of_its_stretches():
    judgement = half_dubbed(seconds_total=20.0)
    rows = timeline.stretches(judgement)
    assert [row["says"] for row in rows] == ["fits", "does_not_fit", "nothing"]
    assert rows[0]["left"] == 0
    for row, following in zip(rows, rows[1:], strict=False):
        assert row["right"] == pytest.approx(following["left"], abs=0.01)
    assert rows[-1]["right"] == pytest.approx(100)
    # 8 of 20 s.
    assert rows[0]["width"] == pytest.approx(40, abs=5)
    page = video_page.video_page(judgement)
    for row in rows:
        assert f'<rect class="{row["says"]}" x="{row["left"]}%"' in page
        assert row["sentence"] in Text(page).text
    assert "0:16 to 0:20: not looked at" in Text(page).text


def test_what_cannot_be_told_is_grey_with_its_reason():
    said = evidence(8, 0.08, 0)
    after = evidence(8, None, 1, at=8.0)
    found = [dataclasses.replace(e, loudness=18.0) for e in said]
    found += [dataclasses.replace(e, loudness=3.0) for e in after]
    judgement = judged(found)
    assert judgement.verdict == "real"
    text = Text(video_page.video_page(judgement)).text
    assert "Nothing can be told from 0:08 to 0:16, where no voice is heard" in text
    assert "0:08 to 0:16: cannot tell; no voice is heard." in text
    assert [row["says"] for row in timeline.stretches(judgement)] == [
        "fits",
        "cannot_tell",
    ]
    readings = colours_of(judgement, 0)
    assert readings[:7] == [("fits", "var(--real)")] * 7
    assert readings[8:] == [("cannot tell", "var(--neutral)")] * 8


def colours_of(judgement, track):
    """What is said of each bar of the chart of a face, and its colour."""
    chart = video_charts.dissonance(judgement, track).to_dict()
    (bars,) = (
        layer
        for layer in chart["layer"]
        if "distance" in json.dumps(layer) and layer["mark"].get("type") == "rect"
    )
    scale = bars["encoding"]["color"]["scale"]
    colours = dict(zip(scale["domain"], scale["range"], strict=True))
    return [(row["said"], colours[row["reading"]]) for row in bars["data"]["values"]]


def test_who_does_not_speak_is_grey_and_has_no_score():
    speaks, listens = evidence(16, 0.08, 0), evidence(16, None, 1, track=1)
    judgement = judged([*speaks, *listens], tracks=(0, 1))
    assert judgement.verdict == "real"
    assert set(colours_of(judgement, 0)) == {("fits", "var(--real)")}
    assert set(colours_of(judgement, 1)) == {("not speaking", "var(--neutral)")}
    page = video_page.video_page(judgement)
    assert "Face 2, not speaking: 0:00 to 0:16</h3>" in page
    details = video_page.details(judgement)
    assert set(details["tracks"][1]["said"]) == {"not speaking"}


def test_the_course_of_the_lag_is_drawn_only_where_it_moves():
    steady = judged(evidence(16, 0.08))
    assert timeline.course(steady) is None
    assert '<svg class="course"' not in video_page.video_page(steady)
    slipped = judged(spliced((8, 0.08), (8, -0.52)))
    assert slipped.verdict == "out_of_step"
    course = timeline.course(slipped)
    assert course is not None
    late, early = course["marks"][2]["top"], course["marks"][-2]["top"]
    top, middle, bottom = (level["top"] for level in reversed(course["levels"]))
    # An axis of one second each way, later above.
    per_second = middle - top
    assert bottom - middle == pytest.approx(per_second)
    assert (middle - late) / per_second == pytest.approx(0.08, abs=0.04)
    assert (middle - early) / per_second == pytest.approx(-0.52, abs=0.04)
    page = video_page.video_page(slipped)
    assert '<svg class="course"' in page
    assert "From 0:00 to 0:08 the sound is 0.08 s late." in Text(page).text
    assert "Apart from that, mouth and voice fit." in Text(page).text


def test_a_slow_clock_is_drawn_as_a_slope():
    starts, distances = record(20, 0.0, drift=0.02)
    judgement = judged(lag_evidence.sum_up(starts, distances), seconds=20.0)
    course = timeline.course(judgement)
    assert course is not None
    tops = [mark["top"] for mark in course["marks"]]
    # Later is higher up.
    assert tops[1] - tops[-2] > 10
    assert "its clock is" in Text(video_page.video_page(judgement)).text


def test_what_the_method_cannot_see_stands_in_the_answer_unless_it_is_fake():
    blind = "This method does not see a face that was swapped"
    for judgement, is_told in (
        (judged(evidence(16, 0.08)), True),
        (half_dubbed(), False),
    ):
        page = video_page.video_page(judgement)
        answer = page[page.index('<div class="verdict') : page.index("</div>")]
        assert (blind in answer) == is_told
        assert 'class="soft"' not in answer


def test_a_curve_without_a_dip_says_so_on_the_scale_of_all_pages():
    fits, other = judged(evidence(16, 0.08)), judged(evidence(16, None))
    said = [Text(video_page.video_page(j)).text for j in (fits, other)]
    assert "There is a dip where the voice is taken 0.08 s later" in said[0]
    assert "There is no clear dip" in said[1]
    scales = {video_charts.lag_scale(video_charts.lag_rows(j)) for j in (fits, other)}
    assert scales == {(0.6, 1.6)}
    rows = video_charts.lag_rows(fits)
    assert (rows[0]["lag"], rows[-1]["lag"]) == (-1.0, 1.0)


def test_distances_beyond_the_usual_scale_are_inside_the_axis():
    rows = [{"lag": 0.0, "distance": 0.1}, {"lag": 0.2, "distance": 30.0}]
    low, high = video_charts.lag_scale(rows)
    assert low == 0
    assert high > 30


@pytest.mark.parametrize(
    ("stretch", "said"),
    [
        ((9.4, 15.0), "0:09 to 0:15"),
        ((0.5, 59.5), "0:01 to 1:00"),
        ((3.6, 4.4), "0:03 to 0:05"),
        ((7.0, 8.0), "0:07 to 0:08"),
    ],
)
def test_sentences_have_whole_seconds(stretch, said):
    assert sentences.period(*stretch) == said


def test_a_voice_that_fits_nobody_of_several_is_said_of_all_of_them():
    found = [*evidence(16, None, 0), *evidence(16, None, 1, track=1)]
    judgement = judged(found, tracks=(0, 1))
    said = sentences.explanation(judgement)
    assert "the voice does not fit any mouth in view" in said
    skipped = (SkippedTrack(0.0, 5.0, "it was not chosen"),)
    left_out = dataclasses.replace(judgement, skipped_tracks=skipped)
    assert "any mouth that was looked at" in sentences.explanation(left_out)


@pytest.mark.parametrize(
    ("part", "verdict", "reals", "least"),
    # One of 20 real videos is 5 of 100, one of 50 others 2.
    [(None, "fake", (-90.0, -80.0), 5), (0.08, "real", (-90.0, 90.0), 2)],
)
def test_certainty_claims_no_finer_share_than_there_were_videos(
    part, verdict, reals, least
):
    threshold = Threshold(
        -1.0,
        score="stretches",
        counts={"real": 20, "fake": 50, "groups": 20},
        quantiles={"real": reals, "fake": (80.0, 90.0)},
    )
    judgement = judged(spliced((8, 0.08), (8, part)))
    judgement = dataclasses.replace(judgement, threshold=threshold)
    assert judgement.verdict == verdict
    assert f"fewer than {least} look" in sentences.certainty(judgement)
