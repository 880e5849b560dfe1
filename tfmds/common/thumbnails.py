"""Small pictures of faces, to be shown."""

import cv2
import numpy as np

# Side in pixels.
SIDE = 96


def small(jpeg: bytes) -> bytes:
    """A JPEG of `SIDE` pixels a side from one of any size."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None, "a stored crop is a JPEG"
    picture = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
