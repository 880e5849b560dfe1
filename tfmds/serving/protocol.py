"""What HTTP asks beside what is said: HEAD, OPTIONS, ranges, and errors as JSON."""

import re
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tfmds.serving import answers

# RFC 9110, 14.2: whatever else the header holds is as if it were not there.
_RANGE = re.compile(r"bytes=[ \t]*(?:\d+-\d*|-\d+)(?:[ \t]*,[ \t]*(?:\d+-\d*|-\d+))*")
_FROM_TO = re.compile(r"(\d+)-(\d+)")


class _Answered(Exception):
    """What would follow is a body, which nobody asked for."""


class Protocol:
    """ASGI middleware around the routes."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through as the routes know it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        inner: dict[str, Any] = {**scope, "headers": _headers_of(scope)}
        if scope["method"] == "HEAD":
            # Wherever GET is answered.
            inner["method"] = "GET"
        sender = _Sender(scope, receive, send)
        try:
            await self._app(inner, receive, sender.send)
        except Exception:
            # Those who stream raise it in a group of its kind.
            if not sender.is_over:
                raise
        finally:
            # What is counted and logged of it.
            scope.update((k, inner[k]) for k in ("route", "path_params") if k in inner)


def _headers_of(scope: Scope) -> list[tuple[bytes, bytes]]:
    stated = Headers(scope=scope).get("range")
    if stated is None or _is_range(stated):
        return scope["headers"]
    return [(name, value) for name, value in scope["headers"] if name != b"range"]


def _is_range(stated: str) -> bool:
    parts = _FROM_TO.findall(stated)
    return bool(_RANGE.fullmatch(stated.strip().lower())) and all(
        int(first) <= int(last) for first, last in parts
    )


class _Sender:
    """Sends an answer as it comes, but an error that is no JSON as one.

    Attributes:
      is_over: Whether all was sent of an answer without a body.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send):
        self._scope, self._receive, self._send = scope, receive, send
        self._has_no_body = scope["method"] == "HEAD"
        # The start of an answer that waits for its text.
        self._start: Message | None = None
        self._text = b""
        self.is_over = False

    async def send(self, message: Message) -> None:
        """As ASGI's."""
        if message["type"] == "http.response.start":
            message = self._as_options(message)
            kind = MutableHeaders(raw=message["headers"]).get("content-type", "")
            if message["status"] >= 400 and not kind.startswith("application/json"):
                self._start = message
                return
            await self._send(message)
            if self._has_no_body:
                await self._send({"type": "http.response.body", "body": b""})
                self.is_over = True
                raise _Answered
        elif self._start is None:
            await self._send(message)
        else:
            self._text += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_error(self._start)

    def _as_options(self, start: Message) -> Message:
        """What load balancers ask first: which methods there are, not whether."""
        if self._scope["method"] != "OPTIONS" or start["status"] != 405:
            return start
        self._has_no_body = True
        allowed = MutableHeaders(raw=start["headers"]).get("allow", "GET")
        methods = {*allowed.replace(" ", "").split(","), "OPTIONS"}
        if "GET" in methods:
            methods.add("HEAD")
        allow = ", ".join(sorted(methods)).encode()
        return {**start, "status": 204, "headers": [(b"allow", allow)]}

    async def _send_error(self, start: Message) -> None:
        kept = {
            name: value
            for name, value in MutableHeaders(raw=start["headers"]).items()
            if name not in ("content-type", "content-length")
        }
        said = self._text.decode(errors="replace") or f"status {start['status']}"
        answer = answers.error(start["status"], said, kept)
        await answer(self._scope, self._receive, self._send)
