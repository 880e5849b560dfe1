"""A headless Chromium that tests use as a person would (DevTools protocol)."""

import base64
import itertools
import json
import pathlib
import subprocess
import time

from websockets.sync.client import connect

_KEYS = {
    "ArrowRight": 39,
    "ArrowLeft": 37,
    "Home": 36,
    "End": 35,
    "Tab": 9,
    "Enter": 13,
}


class Browser:
    """One tab.

    Attributes:
      complaints: What its console said that is an error.
    """

    def __init__(self, profile: pathlib.Path):
        words = ["chromium", "--headless", "--no-sandbox", "--disable-gpu"]
        words += ["--no-first-run", "--disable-background-networking", "--mute-audio"]
        words += ["--disable-component-update", "--disable-sync"]
        words += ["--remote-debugging-port=0", f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(
            [*words, "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        port_file = profile / "DevToolsActivePort"
        end = time.monotonic() + 30
        while not port_file.exists() or len(port_file.read_text().split()) < 2:
            assert time.monotonic() < end, "chromium did not start"
            time.sleep(0.05)
        port, path = port_file.read_text().split()
        self._socket = connect(f"ws://127.0.0.1:{port}{path}", max_size=None)
        self._session = None
        (target,) = (
            t
            for t in self._ask("Target.getTargets")["targetInfos"]
            if t["type"] == "page"
        )
        self._session = self._ask(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self._ask(f"{domain}.enable")

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(timeout=20)

    def show(self, width: int, height: int, dark: bool = False) -> None:
        """Sets the size of the window and the colours that its user prefers."""
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {
            "name": "prefers-color-scheme",
            "value": "dark" if dark else "light",
        }
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    def go(self, url: str) -> None:
        # The address tells nothing: the page may have changed it before it is asked.
        self.run("window.left = true")
        self._ask("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && !window.left")

    def run(self, script: str):
        """What an expression is worth; a promise is waited for."""
        answer = self._ask(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not self.run(f"!!({script})"):
            assert time.monotonic() < end, f"{script}\n{self.text()}"
            time.sleep(0.05)

    def text(self, selector: str = "body") -> str:
        """What a reader sees."""
        return self.run(f"document.querySelector({selector!r}).innerText")

    def choose(self, selector: str, *paths) -> None:
        """Files for an input of files."""
        root = self._ask("DOM.getDocument")["root"]["nodeId"]
        node = self._ask("DOM.querySelector", nodeId=root, selector=selector)
        self._ask(
            "DOM.setFileInputFiles", nodeId=node["nodeId"], files=list(map(str, paths))
        )

    def click(self, selector: str, across: float = 0.5) -> None:
        """With the mouse, at a share of the width."""
        self.run(
            f"document.querySelector({selector!r}).scrollIntoView({{block: 'center',"
            " behavior: 'instant'})"
        )
        box = self.run(
            "(({x, y, width, height}) => ({x, y, width, height}))"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        place = {
            "x": box["x"] + across * box["width"],
            "y": box["y"] + box["height"] / 2,
            "button": "left",
            "clickCount": 1,
        }
        self._ask("Input.dispatchMouseEvent", type="mousePressed", **place)
        self._ask("Input.dispatchMouseEvent", type="mouseReleased", **place)

    def press(self, key: str) -> None:
        code = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
        self._ask("Input.dispatchKeyEvent", type="keyDown", **code)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **code)

    def picture(self, path, whole: bool = True) -> None:
        """Writes what is to be seen as PNG."""
        shot = self._ask("Page.captureScreenshot", captureBeyondViewport=whole)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))

    def _ask(self, method: str, **params):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self._listen(answer)

    def _listen(self, event: dict) -> None:
        params = event.get("params", {})
        if event["method"] == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif (
            event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error"
        ):
            self.complaints.append(
                f"{params['entry']['text']} {params['entry'].get('url')}"
            )
