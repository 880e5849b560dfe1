import os
import pathlib
import shutil

import httpx
import pytest

from tests.serving.browser import Browser
from tests.serving.conftest import MP4

pytestmark = pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture
def page(browser):
    """A browser that was never here, with a window of a desk."""

    def go(url):
        browser.show(1100, 900)
        browser.go(url)
        browser.run("localStorage.clear()")
        browser.go("about:blank")
        browser.go(url)
        browser.wait("document.querySelector('#limits').textContent")
        browser.complaints.clear()
        return browser

    return go


def seconds(page) -> float:
    return page.run("document.querySelector('#player').currentTime")


def num_history(page) -> int:
    return page.run("document.querySelectorAll('.history li').length")


def test_two_videos_at_once_become_results_that_can_be_walked_through(
    service, clips, page, tmp_path
):
    page = page(service.url)
    assert "Up to 5 MB and 20 seconds" in page.text("#limits")
    damaged = tmp_path / "text.mp4"
    damaged.write_text("no video")
    page.choose("#file", clips["head"], clips["mute"], damaged)
    page.wait("document.querySelectorAll('.job').length >= 2")
    page.wait("document.querySelector('.job.failed')")
    assert "not a video file" in page.text(".job.failed")
    page.wait("document.querySelectorAll('.history li').length === 2")
    # The first that was ready is shown, the other waits to be asked for.
    page.wait("!document.querySelector('#result').hidden")
    page.wait("document.querySelector('.job:not(.failed)')?.innerText.includes('Show')")
    assert page.run("document.querySelectorAll('.job:not(.failed)').length") == 1
    page.run(
        "[...document.querySelectorAll('.history button')]"
        ".find(b => b.textContent.includes('mute')).click()"
    )
    page.wait("document.querySelector('#result-name').textContent === 'mute.mp4'")
    assert "Not judged" in page.text("#result")
    assert "The video has no sound" in page.text("#result")
    assert not page.run("document.querySelector('#curve').checkVisibility()")
    page.run(
        "[...document.querySelectorAll('.history button')]"
        ".find(b => b.textContent.includes('head')).click()"
    )
    page.wait("document.querySelector('#result-name').textContent === 'head.mp4'")
    assert "alled fake" in page.text("#result-verdict")
    assert "What was not looked at" in page.text("#result-unseen")
    assert page.run("document.querySelectorAll('.curve .bar').length") == 3
    assert page.run("document.querySelectorAll('.strip img').length") == 3
    # Figures are there for who asks for them.
    assert "threshold" not in page.text("#figures")
    page.run("document.querySelector('#figures summary').click()")
    assert "threshold" in page.text("#figures")

    # The mouse, the keyboard and a face lead to a second of the video.
    page.wait("document.querySelector('#player').readyState > 0")
    page.click("#curve", 0.45)
    page.wait("document.querySelector('#player').currentTime === 1")
    assert page.text("#readout").startswith("0:01 · Face 1: dissonance")
    page.press("ArrowRight")
    page.wait("document.querySelector('#player').currentTime === 2")
    page.press("Home")
    page.wait("document.querySelector('#player').currentTime === 0")
    page.click(".strip li:nth-child(3) button")
    page.wait("document.querySelector('#player').currentTime === 2")
    assert page.run("document.querySelector('#curve').ariaValueNow") == "2"
    assert page.run("document.querySelectorAll('.bar.now').length") == 1

    links = page.run(
        "['get-json', 'get-report'].map(i => document.getElementById(i))"
        ".map(a => [a.href, a.download])"
    )
    assert [name for _, name in links] == ["head.json", "head.html"]
    assert httpx.get(links[0][0]).json()["path"] == "head.mp4"
    assert "evidence, not proof" in httpx.get(links[1][0]).text

    # Whoever comes back finds it again, on a telephone and at night, too.
    page.show(360, 740, dark=True)
    page.go("about:blank")
    page.go(links[0][0].replace("/v1/videos/", "/#").removesuffix("/result"))
    page.wait("!document.querySelector('#result').hidden")
    assert num_history(page) == 2
    assert page.run("document.documentElement.scrollWidth") <= 360
    page.run("document.querySelector('#delete').click()")
    page.wait("document.querySelector('#result').hidden")
    assert num_history(page) == 1
    assert httpx.get(links[0][0]).status_code == 404
    refused = [c for c in page.complaints if "415" not in c]
    assert not refused


def test_what_is_not_seen_is_said_before_a_video_is_dropped(stub_service, page):
    page = page(stub_service().url)
    assert "A face that was swapped" in page.text("#blind")
    below = "document.querySelector('#blind').getBoundingClientRect().bottom"
    assert page.run(
        f"{below} <= document.querySelector('#drop').getBoundingClientRect().top"
    )
    # As black as what is said elsewhere.
    colour = "getComputedStyle(document.querySelector({!r})).color"
    assert page.run(colour.format("#blind")) == page.run(colour.format("body"))


def test_errors_are_said_and_can_be_tried_again(stub_service, page, tmp_path):
    service = stub_service(uploads_per_minute=3, max_upload_mb=0.01)
    names = ("crash", "fail")
    for name in names:
        (tmp_path / name).write_bytes(MP4)
    (tmp_path / "large").write_bytes(MP4 * 20)
    (tmp_path / "empty").touch()
    page = page(service.url)
    page.choose("#file", *(tmp_path / n for n in (*names, "large", "empty")))
    page.wait("document.querySelectorAll('.job.failed').length === 4")
    said = page.text("#jobs")
    for sentence in (
        "The analysis crashed on this video; its file may be damaged.",
        "It is too long.",
        "at most 0.01 MB are taken.",
        "The file is empty.",
    ):
        assert sentence in said
    assert num_history(page) == 0
    page.choose("#file", tmp_path / "fail", tmp_path / "fail")
    page.wait("document.querySelector('#jobs').innerText.includes('Try again')")
    assert "Too many uploads in a minute" in page.text("#jobs")
    page.run("document.querySelectorAll('.job').forEach(j => j.remove())")
    page.go(f"{service.url}/?#{'A' * 22}")
    page.wait("!document.querySelector('#notice').hidden")
    assert "There is no such video" in page.text("#notice")


def test_more_videos_than_connections_find_their_end(stub_service, page, tmp_path):
    page = page(stub_service().url)
    (tmp_path / "fail").write_bytes(MP4)
    page.choose("#file", *[tmp_path / "fail"] * 9)
    page.wait("document.querySelectorAll('.job.failed').length === 9")
    assert page.text("#jobs").count("It is too long.") == 9


def test_a_token_lets_a_browser_in(stub_service, page, tmp_path):
    service = stub_service(token="let me in")
    page = page(service.url)
    page.wait("document.querySelector('#login').checkVisibility()")

    def try_with(token):
        page.run(
            f"document.querySelector('#token').value = {token!r};"
            "document.querySelector('#login').requestSubmit()"
        )

    try_with("wrong")
    page.wait("document.querySelector('#notice').textContent.includes('not the token')")
    try_with("let me in")
    page.wait(
        "document.querySelector('#login')?.hidden"
        " && document.querySelector('#limits').textContent"
    )
    (tmp_path / "fail").write_bytes(MP4)
    page.choose("#file", tmp_path / "fail")
    page.wait("document.querySelector('#jobs').innerText.includes('It is too long.')")


def test_a_page_can_be_used_by_keyboard_alone(service, page):
    page = page(service.url)
    reached = []
    for _ in range(3):
        page.press("Tab")
        reached.append(page.run("document.activeElement.id"))
    assert "file" in reached
    fetched = page.run("performance.getEntriesByType('resource').map(e => e.name)")
    assert all(name.startswith(service.url) for name in fetched)


@pytest.mark.skipif(not os.environ.get("TFMDS_REAL_CLIPS"), reason="needs real clips")
def test_a_real_clip_with_several_faces_has_a_row_for_each(service, page):
    clip = pathlib.Path(os.environ["TFMDS_REAL_CLIPS"], "clips", "avobj_demo_demo.mp4")
    if not clip.exists():
        pytest.skip("needs that clip")
    page = page(service.url)
    page.choose("#file", clip)
    page.wait("!document.querySelector('#result').hidden")
    assert "Face 4" in page.text("#faces")
    assert page.run("document.querySelectorAll('.curve .threshold').length") >= 4
    assert not page.complaints
