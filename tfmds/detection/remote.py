"""A model behind TensorFlow Serving's REST interface.

Chunks travel as track records to its signature `examples`; what threshold and chunk
spec it has, its signature `about` tells (`exporting`).
"""

import base64
import dataclasses
import json
import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tfmds.common.errors import InputError
from tfmds.exporting.export_info import (
    LAGS,
    DistancesByLag,
    ExportInfo,
    chunk_outputs,
    split_lags,
)

# Environment variable with the token of a server that asks for one.
TOKEN = "TFMDS_TOKEN"
# It would tell of each request that is made again.
logging.getLogger("urllib3").setLevel(logging.ERROR)

# Seconds to connect, and to wait for an answer.
_TIMEOUT = (10, 300)
_RETRY = Retry(
    total=6,
    # A server that is not there is a wrong address more often than a late start.
    connect=2,
    backoff_factor=0.5,
    status_forcelist=(429, 502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,
)


@dataclasses.dataclass(frozen=True)
class RemoteModel(ExportInfo):
    """A model that is asked over HTTP.

    Attributes:
      url: Address of the model: `http://host:8501/v1/models/mds`.
      session: Its connection.
    """

    url: str
    session: requests.Session

    def score(self, examples: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Of track records of one chunk each, see `export_info.chunk_scores`.

        Raises:
          InputError: The server does not answer, or not as it should.
        """
        encoded = [{"b64": base64.b64encode(record).decode()} for record in examples]
        answer = _predict(self.session, self.url, "examples", {"examples": encoded})
        found = {}
        for name, key in chunk_outputs(self.asked_heads).items():
            try:
                values = np.asarray(answer[key], float)
            except (KeyError, TypeError, ValueError):
                values = np.zeros(0)
            if values.shape != (len(examples),) or not np.isfinite(values).all():
                raise InputError(
                    f"{self.url}: the answer holds no {key} for each of"
                    f" {len(examples)} chunks; is this model an export of tfmds?"
                )
            found[name] = values
        return found

    def lags(self, examples: Sequence[bytes]) -> list[DistancesByLag]:
        """Distances by lag of each track record; the model must have them.

        Raises:
          InputError: The server does not answer, or not as it should.
        """
        encoded = [{"b64": base64.b64encode(record).decode()} for record in examples]
        answer = _predict(self.session, self.url, LAGS, {"examples": encoded})
        try:
            return split_lags(answer, len(examples))
        except (KeyError, TypeError, ValueError) as e:
            raise InputError(
                f"{self.url}: the answer holds no distances by lag; is this model an"
                " export of tfmds?"
            ) from e


def connect(url: str) -> RemoteModel:
    """Asks the server what its model is.

    Args:
      url: `http://host:8501/v1/models/mds`, perhaps with `/versions/1`.

    Raises:
      InputError: There is no such server or model.
    """
    url = url.rstrip("/")
    if not url.startswith(("http://", "https://")) or "/v1/models/" not in url:
        raise InputError(
            f"{url}: not the address of a model, expected one such as"
            " http://localhost:8501/v1/models/mds"
        )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=_RETRY))
    if os.environ.get(TOKEN):
        session.headers["Authorization"] = f"Bearer {os.environ[TOKEN]}"
    answer = _predict(session, url, "about", {"request": [""]})
    try:
        # TensorFlow Serving leaves out the name of an only output.
        (said,) = answer["about"] if isinstance(answer, dict) else answer
        about = json.loads(said)
    except (KeyError, TypeError, ValueError) as e:
        raise InputError(
            f"{url}: does not tell what model it is; expected an export of tfmds"
        ) from e
    info = ExportInfo.from_json(about, url)
    return RemoteModel(**vars(info), url=url, session=session)


def _predict(
    session: requests.Session, url: str, signature: str, inputs: dict[str, Any]
) -> Any:
    body: dict[str, Any] = {"signature_name": signature, "inputs": inputs}
    try:
        response = session.post(f"{url}:predict", json=body, timeout=_TIMEOUT)
        answer = response.json()
    except requests.exceptions.JSONDecodeError as e:
        raise InputError(
            f"{url}: answers {response.status_code} and no JSON; expected TensorFlow"
            " Serving's REST interface"
        ) from e
    except requests.RequestException as e:
        raise InputError(
            f"{url}: the server does not answer ({type(e).__name__}); is it running?"
        ) from e
    if not response.ok or not isinstance(answer, dict) or "outputs" not in answer:
        said = answer.get("error", answer) if isinstance(answer, dict) else answer
        raise InputError(f"{url}: answers {response.status_code}: {str(said)[:500]}")
    return answer["outputs"]
