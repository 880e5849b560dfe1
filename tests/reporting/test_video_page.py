import dataclasses
import html.parser
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from tests.evaluation import samples
from tfmds.detection import judgement_json
from tfmds.evaluation import threshold_choice, thresholds
from tfmds.judgement.judgement import VideoJudgement
from tfmds.judgement.seen import JudgedChunk, SkippedTrack
from tfmds.reporting import charts, sentences, video_page

pytestmark = pytest.mark.usefixtures("valid_charts")

NASTY = '<script>alert("x")</script></title>&{{ 7*7 }}'


def jpeg():
    return cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()


def judged(path="clips/a.mp4", count=6, face=b"", **fields):
    videos, _ = samples.tables(separation=0.2)
    chunks = tuple(
        JudgedChunk(track, float(at), 0.3 + 0.1 * at, face)
        for track in (0, 1)
        for at in range(count)
    )
    threshold = threshold_choice.select(videos, "validation", num_draws=20)
    fields = {"seconds_total": count + 2.5, "model_id": "m-1"} | fields
    return VideoJudgement(path, "ok", threshold, chunks=chunks, **fields)


class Text(html.parser.HTMLParser):
    """What a reader sees, and the tags that make a page do things."""

    def __init__(self, page):
        super().__init__()
        self.words, self.tags = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if not self.tags or self.tags[-1][0] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def test_the_page_says_what_the_judgement_says():
    judgement = judged(skipped_tracks=(SkippedTrack(1.0, 2.5, "smaller than 50 px"),))
    text = Text(video_page.video_page(judgement, {"command": "detect a.mp4"})).text
    assert ("Called fake" if judgement.verdict == "fake" else "Not called fake") in text
    for said in (
        f"{judgement.mds:.3f}",
        f"{judgement.threshold.value:.3f}",
        "6 seconds of 8.5 seconds",
        "0:06 to 0:09",
        "0:01 to 0:02.5: smaller than 50 px",
        "Face 2",
        "m-1",
        "detect a.mp4",
        "evidence, not proof",
    ):
        assert said in text, said


@pytest.mark.parametrize("score", ["mds", "aligned", "visual", "audio"])
def test_pages_say_what_the_score_tells_and_how_it_is_read(score):
    chunk = JudgedChunk(0, 0.0, 0.5, heads={"visual": 0.5, "audio": 0.5})
    threshold = thresholds.Threshold(0.4, score=score)
    judgement = VideoJudgement("a.mp4", "ok", threshold, chunks=(chunk,))
    told = {"visual": "of other kinds or of the voice", "audio": "or of the picture"}
    for page in (video_page.video_page(judgement), video_page.index_page([judgement])):
        text = Text(page).text
        assert text.count("The lower the score, the more like a real recording") == 1
        assert told.get(score, "forgeries that keep both in step") in text
        assert ("keep both in step" in text) == (score not in told)


def test_what_could_not_be_read_is_said_and_not_laid_to_the_faces():
    why = "no picture can be decoded"
    judgement = judged(
        reason=f"could not be read from 6.0 to 8.5 s: {why}", unread=((6.0, 8.5, why),)
    )
    text = Text(video_page.video_page(judgement)).text
    assert "0:06 to 0:09" in text
    assert "or the file could not be read there" in text
    assert f"could not be read from 6.0 to 8.5 s: {why}" in text
    assert judgement_json.write(judgement)["unread"] == [[6.0, 8.5, why]]
    assert "could not be read" not in Text(video_page.video_page(judged())).text


def test_a_video_without_a_verdict_says_why():
    judgement = VideoJudgement(
        "mute.mp4", "no_audio", thresholds.Threshold(0.5), "no audio stream"
    )
    page = Text(video_page.video_page(judgement))
    assert "Not judged" in page.text
    assert "The video has no sound" in page.text
    assert "no audio stream" in page.text
    assert "script" not in [tag for tag, _ in page.tags]


def test_names_are_data():
    skipped = (SkippedTrack(0.0, 1.0, NASTY),)
    judgement = judged(NASTY, model_id=NASTY, skipped_tracks=skipped)
    for page in (
        video_page.video_page(judgement, {NASTY: NASTY}),
        video_page.index_page([judgement], {NASTY: NASTY}),
    ):
        found = Text(page.replace(charts.library(), ""))
        assert NASTY not in page
        assert NASTY in "".join(found.words)
        scripts = [attrs for tag, attrs in found.tags if tag == "script"]
        assert len(scripts) in (0, 3)


def test_a_page_fetches_nothing():
    page = video_page.video_page(judged(face=jpeg()))
    for tag, attrs in Text(page).tags:
        for name in ("src", "href", "action", "srcset", "poster"):
            assert (attrs.get(name) or "data:").startswith("data:"), (tag, attrs)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in page


def test_a_long_video_stays_a_page_that_can_be_sent():
    face = jpeg() + bytes(4000)
    page = video_page.video_page(judged(count=1000, face=face))
    assert len(page) < 5_000_000
    assert "more faces are not shown" in page
    # The highest distance of each face is among those shown.
    assert page.count('alt="face at 16:39"') == 2


def test_pages_are_written_and_linked(tmp_path):
    judgements = [judged("x/a.mp4"), judged("y/a.mp4"), judged("../ä?.mp4")]
    paths = [video_page.write_video_page(tmp_path, j) for j in judgements]
    assert len(set(paths)) == 3
    assert all(path.parent == tmp_path for path in paths)
    index = video_page.write_index_page(tmp_path, judgements).read_text()
    links = [attrs["href"] for tag, attrs in Text(index).tags if tag == "a"]
    assert [tmp_path / link for link in links] == list(paths)


def test_an_index_links_no_page_that_is_not_there(tmp_path):
    judgements = [judged("a.mp4"), judged("b.mp4"), judged("c.mp4")]
    video_page.write_video_page(tmp_path, judgements[1])
    index = video_page.write_index_page(tmp_path, judgements).read_text()
    assert re.findall(r'<a href="[^"]*">([^<]*)</a>', index) == ["b.mp4"]
    text = Text(index).text
    assert all(f"{name}.mp4" in text for name in "abc")
    assert "2 of them have no link" in text
    video_page.write_video_page(tmp_path, judgements[0])
    video_page.write_video_page(tmp_path, judgements[2])
    again = video_page.write_index_page(tmp_path, judgements).read_text()
    assert "no link" not in Text(again).text


def test_a_face_that_was_left_out_is_not_said_to_have_been_out_of_view():
    skipped = (SkippedTrack(0.0, 5.0, "face 1, it was not chosen (--tracks)"),)
    plain, chosen = judged(), judged(skipped_tracks=skipped)
    words = "none was in view, large and clear enough, for a whole second"
    assert f"{words}. Nothing" in Text(video_page.video_page(plain)).text
    page = Text(video_page.video_page(chosen)).text
    assert f"{words}, or it was left out (below). Nothing" in page
    nobody = VideoJudgement(
        "a.mp4",
        "no_face",
        thresholds.Threshold(0.5),
        reason="it has 1 faces and none of the chosen numbers",
        skipped_tracks=skipped,
    )
    page = Text(video_page.video_page(nobody)).text
    assert "none of the chosen numbers" in page
    assert "No face was in view" not in page


@pytest.mark.parametrize(
    ("kinds", "is_so"),
    [
        ({"voice_swap": 5, "voice_shift": 2}, True),
        ({"voice_swap": 5, "face_swap": 1}, False),
        ({}, False),
    ],
)
def test_a_probability_is_named_by_the_fakes_that_it_is_of(kinds, is_so):
    found = judged()
    found = dataclasses.replace(
        found, threshold=dataclasses.replace(found.threshold, manipulations=kinds)
    )
    page = Text(video_page.video_page(found)).text
    assert ("probability of another or a shifted voice" in page) == is_so
    assert ("probability of fake" in page) != is_so


def test_a_verdict_that_the_probability_speaks_against_is_explained():
    found = judged()
    low = dataclasses.replace(found.threshold, value=found.mds - 0.1, interval=None)
    curve = dataclasses.replace(low.calibration, intercept=-99.0)
    low = dataclasses.replace(low, calibration=curve)
    page = Text(video_page.video_page(dataclasses.replace(found, threshold=low))).text
    assert "Borderline" in page
    assert "so that few fakes are missed" in page


def test_a_page_by_the_mean_distance_says_how_little_it_is_of():
    found = judged()
    for shortest, is_told in ((7.0, True), (6.5, False)):
        threshold = dataclasses.replace(found.threshold, shortest_seconds=shortest)
        judgement = dataclasses.replace(found, threshold=threshold)
        page = Text(video_page.video_page(judgement)).text
        assert ("Only 6.0 s could be compared" in page) == is_told
        assert ("probability of fake" in page) != is_told


def test_seconds_that_do_not_fit_in_a_video_that_does_are_counted():
    found = judged()
    higher = dataclasses.replace(found.threshold, value=0.65)
    found = dataclasses.replace(found, threshold=higher)
    assert found.verdict == "real"
    page = Text(video_page.video_page(found)).text
    assert "2 seconds of 6 seconds reach the threshold all the same" in page
    assert "(0:04 to 0:06)" in page


def test_an_index_of_very_many_lists_fakes_first(monkeypatch):
    monkeypatch.setattr(video_page, "_MAX_LISTED", 3)
    mute = VideoJudgement("mute.mp4", "no_audio", thresholds.Threshold(0.5))
    # By the mean distance a video is called fake from 0.5 on.
    judgements = [
        VideoJudgement(
            name, "ok", thresholds.Threshold(0.5), chunks=(JudgedChunk(0, 0.0, mean),)
        )
        for name, mean in [("r1", 0.1), ("f1", 0.9), ("r2", 0.2), ("f2", 0.6)]
    ]
    index = video_page.index_page(iter([*judgements, mute]))
    assert re.findall(r'<a href="[^"]*">([^<]*)</a>', index) == ["f1", "f2", "mute.mp4"]
    text = Text(index).text
    assert "5 videos" in text
    assert "3 of them are listed here" in text
    few = video_page.index_page([judgements[0], judgements[1], mute])
    assert re.findall(r'<a href="[^"]*">([^<]*)</a>', few) == ["r1", "f1", "mute.mp4"]
    assert "listed here" not in few


def test_a_name_that_is_no_text_is_shown():
    name = b"caf\xe9.mp4".decode(errors="surrogateescape")
    assert "caf?.mp4" in video_page.video_page(judged(name))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0:00"), (9.96, "0:10"), (61.5, "1:01.5"), (59.99, "1:00"), (3600, "60:00")],
)
def test_clock(seconds, said):
    assert sentences.clock(seconds) == said


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_a_browser_draws_every_chart_and_complains_about_nothing(tmp_path):
    path = video_page.write_video_page(tmp_path, judged(NASTY, face=jpeg()))
    # What is folded is drawn when it is opened.
    path.write_text(path.read_text().replace("<details", "<details open"))
    words = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
    ]
    words += ["--disable-background-networking", "--disable-component-update"]
    words += ["--disable-sync", "--enable-logging=stderr", "--dump-dom"]
    words += ["--virtual-time-budget=3000", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*words, f"file://{path}"], capture_output=True, text=True, timeout=60
    )
    assert "CONSOLE" not in done.stderr
    body = done.stdout.partition("<body>")[2]
    for name in ("track-0", "track-1", "standing"):
        drawn = body.partition(f'id="{name}"')[2].partition("</svg>")[0]
        assert drawn.count("<path") > 5, name
