"""A client of the service; it needs nothing but the standard library, and numpy for arrays.

>>> client = Client("http://127.0.0.1:8000")
>>> for action in client.detect("holiday.mp4"):
...     print(action["label"], action["start"], action["end"], action["score"])
"""

from __future__ import annotations

import http.client
import io
import json
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
from numpy.typing import NDArray

from untrimmed.errors import ConfigError, UntrimmedError

Source = str | Path | NDArray[Any]
_NPY, _VIDEO = "application/octet-stream", "video/any"


class ServiceError(UntrimmedError):
    """A service has refused a request, or cannot be reached; `status` is that of HTTP, 0 without an answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """Asks a service that `untrimmed serve` runs.

    Attributes:
        url: of the service.
        port: that the URL names.
    """

    port: int | None

    def __init__(self, url: str = "http://127.0.0.1:8000", *, token: str | None = None, timeout: float = 120) -> None:
        """Note where it is; nothing is sent.

        Args:
            url: of the service.
            token: that it asks for.
            timeout: seconds to wait for an answer; and how long to come back to a service that is busy.

        Raises:
            ConfigError: if the URL is none of HTTP.
        """
        try:
            place = urlsplit(url)
            self.port = place.port
        except ValueError:  # of an address or a port
            place = urlsplit("")
        if place.scheme not in ("http", "https") or not place.hostname:
            raise ConfigError(f"{url!r}: is no address of a service; expected is one such as http://127.0.0.1:8000")
        self.url, self._place, self._timeout = url, place, timeout
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def detect(self, source: Source, **query: str | float) -> list[dict[str, Any]]:
        """Return what is found, best first: `label`, `start`, `end` and `score` of each.

        Args:
            source: path of a video or of a `.npy` file, or an array `[T, D]`.
            query: `min_score`, `top`, `id`; of features also `rate` and `duration`.

        Raises:
            ServiceError: if the service refuses it.
            OSError: if the file cannot be read.
        """
        return self._post(source, query)["detections"]

    def submit(self, source: Source, **query: str | float) -> str:
        """Begin a job; returns its id. Arguments and errors are those of `detect`."""
        return self._post(source, {**query, "job": "true"})["job"]

    def job(self, job: str) -> dict[str, Any]:
        """Return how far a job is: `status`, `progress`, and in the end `answer` or `error`.

        Raises:
            ServiceError: if there is no such job.
        """
        return self._ask("GET", f"/jobs/{quote(job, safe='')}")

    def result(self, job: str, *, every: float = 0.5) -> list[dict[str, Any]]:
        """Wait for a job, and return what is found, as `detect` does.

        Raises:
            ServiceError: if it has failed.
        """
        while True:
            state = self.job(job)
            if state["status"] == "failed":
                raise ServiceError(state["error_status"], state["error"])
            if state["status"] == "done":
                return state["answer"]["detections"]
            time.sleep(every)

    def health(self) -> dict[str, Any]:
        """Return what the service says of itself.

        Raises:
            ServiceError: if it is not ready.
        """
        return self._ask("GET", "/health")

    def _post(self, source: Source, query: dict[str, str | float]) -> Any:
        path = f"/detect?{urlencode(query)}"
        if isinstance(source, (str, Path)):
            kind = _NPY if Path(source).suffix.lower() == ".npy" else _VIDEO
            with Path(source).open("rb") as file:
                return self._ask("POST", path, file, Path(source).stat().st_size, kind)
        content = io.BytesIO()
        np.save(content, np.asarray(source), allow_pickle=False)
        return self._ask("POST", path, content, content.tell(), _NPY)

    def _ask(self, method: str, path: str, body: Any = None, size: int = 0, kind: str = "") -> Any:
        """Send a request, and again while the service is busy; returns the JSON of the answer."""
        until = time.monotonic() + self._timeout
        while True:
            status, headers, content = self._once(method, path, body, size, kind)
            after = headers.get("Retry-After", "")
            wait = int(after) if after.isdecimal() else 1
            if status != 503 or body is None or time.monotonic() + wait > until:
                break
            time.sleep(wait)
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if isinstance(answer, dict) and status < 300:
            return answer
        error = answer.get("error") if isinstance(answer, dict) else content[:200].decode(errors="replace")
        raise ServiceError(status, error or f"{self.url}: answers with status {status}, not as this service does")

    def _once(
        self, method: str, path: str, body: Any, size: int, kind: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        place, headers = self._place, dict(self._headers)
        if body is not None:
            body.seek(0)
            headers |= {"Content-Type": kind, "Content-Length": str(size)}
        connect = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        assert place.hostname is not None
        with closing(connect(place.hostname, place.port, timeout=self._timeout)) as connection:
            try:
                with suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read everything
                    connection.request(method, place.path.rstrip("/") + path, body, headers)
                answer = connection.getresponse()
                return answer.status, answer.headers, answer.read()
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                raise ServiceError(0, f"{place.geturl()}: the service cannot be reached ({reason})") from error
