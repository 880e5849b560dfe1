import dataclasses
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from tests.evaluation import samples
from tests.reporting.test_video_page import NASTY, Text, jpeg
from tfmds import spec
from tfmds.evaluation import (
    comparison,
    evaluation,
    localization,
    threshold_choice,
)
from tfmds.reporting import charts, result_pages

pytestmark = pytest.mark.usefixtures("valid_charts")

SECTIONS = ("coverage", "ranking", "scores", "verdicts", "parts", "calibration")
SECTIONS += ("localization", "mistakes", "videos")
CHARTS = ("roc", "precision-recall", "distributions", "parts-auc", "reliability")
PROBE = """
<script>addEventListener("load", () => setTimeout(() => {
  const table = document.getElementById("table");
  const shown = () => [...table.tBodies[0].rows].filter((r) => !r.hidden);
  const heads = [...table.tHead.rows[0].cells];
  const column = heads.findIndex((h) => h.textContent === "MDS");
  const button = heads[column].querySelector("button");
  const values = () => shown().map((r) => r.cells[column].textContent);
  const search = document.getElementById("search"), answer = {};
  button.focus(); button.click();
  answer.focus = document.activeElement === button;
  answer.up = values(); answer.sort = heads[column].getAttribute("aria-sort");
  button.click(); answer.down = values();
  search.value = "LIP_sync 3-0"; search.dispatchEvent(new Event("input"));
  answer.found = shown().map((r) => r.cells[0].textContent);
  answer.said = document.getElementById("found").textContent;
  answer.requests = performance.getEntriesByType("resource").map((e) => e.name);
  answer.alerts = window.alerted || 0;
  const probe = document.createElement("pre");
  probe.id = "probe"; probe.textContent = JSON.stringify(answer);
  document.body.append(probe);
}, 1500));</script>
"""


def result(**options):
    videos, chunks = samples.partial_fakes(noise=0.4, groups=8)
    localizer = localization.choose(videos, chunks, "validation")
    threshold = threshold_choice.select(videos, "validation", num_draws=20)
    threshold = dataclasses.replace(threshold, localizer=localizer)
    options = {"split": "test", "num_draws": 50, "threshold": threshold} | options
    return evaluation.evaluate(videos, chunks, **options)


def page(evaluated, **fields):
    return result_pages.evaluation_page(evaluated, **fields)


def test_the_page_says_what_the_evaluation_says():
    found = result()
    text = Text(page(found, where="a/scores.csv", provenance={"command": "x y"})).text
    for said in (
        found.summary,
        "a/scores.csv",
        "x y",
        "16 of 16 expected videos",
        f"{found.threshold.value:.4g}",
        str(found.estimates["localization/ap@0.75"]),
        str(found.estimates["videos/expected_calibration_error"]),
        "lip_sync",
        "evidence, not proof",
    ):
        assert said in text, said


def test_the_worst_mistakes_come_with_faces_and_what_is_forged():
    found = result()
    names = result_pages.worst_mistakes(found)
    assert names
    for name in names:
        row = list(found.videos.video_id).index(name)
        called_fake = found.videos.mds[row] >= found.threshold.value
        assert called_fake == (found.videos.label[row] == spec.REAL)
    faces = {names[0]: {(0, float(at)): jpeg() for at in range(10)}}
    drawn = page(found, faces=faces)
    assert drawn.count('alt="face at') == 10
    assert "Forged: 0:0" in Text(drawn).text
    assert 'alt="face at' not in page(found)


def test_names_are_data():
    found = result()
    found.videos.video_id[:] = [f"{NASTY}{k}" for k in range(len(found.videos))]
    found.videos.group[:] = NASTY
    drawn = page(found, where=NASTY, provenance={NASTY: NASTY})
    assert NASTY not in drawn
    assert NASTY in "".join(Text(drawn.replace(charts.library(), "")).words)


def test_what_cannot_be_said_has_a_reason():
    videos, chunks = samples.tables()
    reals = videos.select(videos.label == spec.REAL)
    chunks = chunks.select(chunks.label == spec.REAL)
    text = Text(page(evaluation.evaluate(reals, None, split="test"))).text
    for said in (
        "No curve: there are no fakes",
        "No threshold was given",
        "Without a threshold there are no verdicts",
        "no threshold with a calibration",
        "no video is known to be forged in a part",
    ):
        assert said in text, said


def test_videos_that_were_left_out_are_in_the_table():
    missing = [("test/0-1.mp4", spec.NO_FACE)]
    videos, chunks = samples.tables(unscored=missing)
    found = evaluation.evaluate(
        videos, chunks, split="test", min_coverage=0, num_draws=10
    )
    table = page(found).partition('id="table"')[2].partition("</table>")[0]
    assert re.search(r"test/0-1\.mp4</td>.*?no_face", table)
    assert table.count("<tr>") == 1 + 20


def test_a_thousand_videos_are_a_page_that_can_be_sent():
    videos, chunks = samples.tables(groups=250, splits=("test",), separation=0.1)
    threshold = dataclasses.replace(
        threshold_choice.select(
            dataclasses.replace(videos, split=np.full(1000, "train", object)),
            "train",
            num_draws=5,
        )
    )
    found = evaluation.evaluate(
        videos, chunks, split="test", threshold=threshold, num_draws=5
    )
    faces = {
        name: {(0, float(at)): bytes(4000) for at in range(3)}
        for name in result_pages.worst_mistakes(found)
    }
    assert len(page(found, faces=faces)) < 5_000_000


def browse(path, tmp_path, *words):
    done = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu"),
            *("--no-first-run", "--disable-background-networking"),
            *("--disable-component-update", "--disable-sync"),
            *("--enable-logging=stderr", "--dump-dom", "--virtual-time-budget=6000"),
            f"--user-data-dir={tmp_path / 'profile'}",
            *words,
            f"file://{path}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_a_browser_draws_sorts_and_searches(tmp_path):
    found = result()
    names = result_pages.worst_mistakes(found)
    found.videos.group[0] = "<script>window.alerted = 1</script>"
    path = tmp_path / "page.html"
    drawn = page(found, faces={names[0]: {(0, 0.0): jpeg()}})
    # The library has such a tag among its texts, too.
    before, tag, after = drawn.rpartition("</body>")
    path.write_text(before + PROBE + tag + after)
    dom = browse(path, tmp_path)
    body = dom.partition("<body>")[2]
    for name in SECTIONS:
        section = body.partition(f'<section id="{name}"')[2].partition("</section>")[0]
        assert "<h2>" in section, name
    for name in (*CHARTS, "mistake-0-0"):
        chart = body.partition(f'id="{name}"')[2].partition("</svg>")[0]
        assert chart.count("<path") > 5, name
    probe = re.search(r'<pre id="probe">(.*?)</pre>', dom)[1]
    answer = json.loads(probe)
    up = [float(value) for value in answer["up"]]
    assert len(up) == 16
    assert up == sorted(up)
    assert answer["down"] == answer["up"][::-1]
    assert answer["sort"] == "ascending"
    assert answer["focus"]
    assert answer["found"] == ["test/3-0.mp4"]
    assert answer["said"] == "1 of 16 videos"
    assert answer["requests"] == []
    assert answer["alerts"] == 0


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_a_browser_draws_the_comparison(tmp_path):
    videos, _ = samples.tables(separation=0.1, groups=8)
    other, _ = samples.tables(separation=0.1, groups=8, seed=1)
    found = comparison.compare(videos, other, names=(NASTY, "B"), num_draws=20)
    drawn = result_pages.comparison_page(found, {"command": NASTY})
    assert NASTY not in drawn
    assert found.summary in "".join(Text(drawn.replace(charts.library(), "")).words)
    path = tmp_path / "page.html"
    path.write_text(drawn)
    body = browse(path, tmp_path).partition("<body>")[2]
    chart = body.partition('id="scatter"')[2].partition("</svg>")[0]
    assert chart.count("<path") > 20
