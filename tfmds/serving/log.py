"""What the service logs: a JSON object a line, of requests and of videos' ends.

Nothing of what a file holds, of what it is called, or of who is seen in it. Whoever
knows the whole identifier of a job may see it: its first characters stand for it.
"""

import datetime
import json
import logging
from typing import Any

_LOGGER = "tfmds.serving"
_JOB_CHARACTERS = 8


def start() -> None:
    """Lets a program write them to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    logger = logging.getLogger(_LOGGER)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def write(event: str, **fields: Any) -> None:
    """Logs what happened.

    Args:
      event: What kind of event it is.
      **fields: Values of JSON; None is left out.
    """
    logging.getLogger(_LOGGER).info(event, extra={"fields": fields})


def fault(message: str) -> None:
    """Logs a fault of the service with where it is; to be called where it is caught."""
    logging.getLogger(_LOGGER).exception(message)


def job(job_id: str) -> str:
    """A job as it stands in the log."""
    return job_id[:_JOB_CHARACTERS]


class _Lines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        time = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)
        said: dict[str, Any] = {
            "time": time.isoformat(timespec="milliseconds"),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps({k: v for k, v in said.items() if v is not None})
