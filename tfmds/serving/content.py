"""What an upload is, by its first bytes; its name plays no part."""

# The first bytes that are looked at.
HEAD_BYTES = 512

_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_STARTS = (
    (b"\x1a\x45\xdf\xa3", "video/x-matroska"),
    (b"FLV\x01", "video/x-flv"),
    (b"OggS", "video/ogg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-wmv"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video/mpeg"),
)


def video_type(head: bytes) -> str | None:
    """Media type of a video file, None where it is none.

    Playlists and other texts that make a decoder open further files are no videos
    here.

    Args:
      head: The first `HEAD_BYTES` of the file, or all of it.
    """
    if head[4:8] in _MP4_BOXES:
        return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return "video/x-msvideo"
    for start, media_type in _STARTS:
        if head.startswith(start):
            is_webm = media_type == "video/x-matroska" and b"webm" in head[:64]
            return "video/webm" if is_webm else media_type
    # Packets of a transport stream, with four bytes before each on discs.
    for first, length in ((0, 188), (4, 192)):
        if len(head) > first + length and all(
            byte == 0x47 for byte in head[first::length]
        ):
            return "video/mp2t"
    return None
