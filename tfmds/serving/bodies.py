"""Bodies of requests as they come: unpacked, with limits."""

import zlib
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

# A piece of a packed body may hold a thousand times as much.
_BLOCK_BYTES = 1 << 20
# Windows of zlib with the header of gzip.
_GZIP = 16 + zlib.MAX_WBITS


class Refused(Exception):
    """A body that is not taken; `code` is of HTTP."""

    def __init__(self, code: int, reason: str):
        super().__init__(reason)
        self.code = code


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """The body of a request, unpacked where it came as gzip, at most a MB at a time.

    Raises:
      Refused: It is packed in another way, or damaged.
      ClientDisconnect: It was broken off.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        async for piece in request.stream():
            yield piece
        return
    if encoding not in ("gzip", "x-gzip"):
        raise Refused(
            415,
            f"the Content-Encoding {encoding[:40]!r} is not known; send the body as it"
            " is, or with gzip",
        )
    unpacker = zlib.decompressobj(_GZIP)
    is_whole = False
    try:
        async for packed in request.stream():
            part = b""
            while packed or len(part) == _BLOCK_BYTES:
                part = await run_in_threadpool(
                    unpacker.decompress, packed, _BLOCK_BYTES
                )
                packed = unpacker.unconsumed_tail
                if part:
                    yield part
                is_whole = unpacker.eof
                if is_whole:
                    # Files of gzip may be appended to each other.
                    packed, unpacker = unpacker.unused_data, zlib.decompressobj(_GZIP)
                    part = b""
    except zlib.error as e:
        raise Refused(400, "the body is not gzip, as its header says") from e
    if not is_whole:
        raise Refused(400, "the body ends in the middle of its gzip")


async def read(request: Request, most: int) -> bytes:
    """The whole body.

    Raises:
      Refused: It has more than `most` bytes, packed or unpacked, or as `pieces`.
      ClientDisconnect: It was broken off.
    """
    stated = request.headers.get("content-length", "0")
    too_large = Refused(
        413, f"the body has more than {most / 1e6:g} MB; send fewer chunks at a time"
    )
    if stated.isdigit() and int(stated) > most:
        raise too_large
    body = bytearray()
    async for piece in pieces(request):
        body += piece
        if len(body) > most:
            raise too_large
    return bytes(body)
