"""`untrimmed serve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from untrimmed.cli.console import warn
from untrimmed.cli.sizes import byte_count
from untrimmed.detection.localizer import Localizer
from untrimmed.errors import ConfigError, MissingExtraError, ModelError, UntrimmedError

if TYPE_CHECKING:
    from untrimmed.service.extraction import VideoExtraction

TOKEN = "UNTRIMMED_TOKEN"
"""Environment variable with the token, for where there is no file."""


def serve(
    model: Path,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "fp32",
    queue: int = 64,
    batch: int = 8,
    max_body: str = "500MB",
    timeout: float = 60.0,
    job_timeout: float = 3600.0,
    videos: int = 1,
    token_file: Path | None = None,
    confident: bool = False,
) -> None:
    """Answer requests over HTTP: what actions there are in a video, or in features.

    POST /detect takes a video, a .npy file or JSON; with ?job=true it answers at once, and GET /jobs/ID tells how far
    it is. GET /health, /metrics and /openapi.json say the rest. SIGTERM or Ctrl-C lets it finish what it holds; a
    second one does not.

    Example: `untrimmed serve runs/mine --port 8000`, and then
    `curl -F file=@video.mp4 'http://127.0.0.1:8000/detect?min_score=0.2'`

    Parameters
    ----------
    model
        The folder of a run, its `best` folder, or any other model folder.
    host
        Address to listen on; 0.0.0.0 is for all machines that can reach this one.
    port
        Port to listen on; 0 is any that is free.
    device
        Where the model runs: auto, cpu, cuda or mps.
    precision
        Precision that the model computes in.
    queue
        Requests and jobs that are held at once; more are told to come back later.
    batch
        Recordings that the model is given at once.
    max_body
        Largest body that is taken, such as 500MB.
    timeout
        Seconds for a body to arrive, and for its answer to be found.
    job_timeout
        Seconds that a job may take.
    videos
        Videos that are decoded at once, each in a process of its own; 0 takes features only.
    token_file
        File with a token that every request has to have, but those of /health. Without it, the environment variable
        UNTRIMMED_TOKEN may have one.
    confident
        Answer only with what counts, as `untrimmed calibrate` has learnt it.
    """
    try:
        import fastapi  # noqa: F401, PLC0415  optional
        import prometheus_client  # noqa: F401, PLC0415
        import python_multipart  # noqa: F401, PLC0415
        import uvicorn  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtraError(error.name or "fastapi", "serve", "untrimmed serve") from error
    from untrimmed.service.guarding import check_token  # noqa: PLC0415
    from untrimmed.service.limits import Limits  # noqa: PLC0415
    from untrimmed.service.serving import is_loopback, listen  # noqa: PLC0415
    from untrimmed.service.serving import serve as run  # noqa: PLC0415
    from untrimmed.service.work import Work  # noqa: PLC0415

    if videos < 0:
        raise ConfigError(f"--videos is {videos}, but has to be 0 or more")
    bytes_of_body = byte_count(max_body, "--max-body")
    limits = Limits(
        queue=queue,
        batch=batch,
        max_body=bytes_of_body,
        max_json=min(Limits.max_json, bytes_of_body),
        timeout=timeout,
        job_timeout=job_timeout,
    )
    token = _token(token_file)
    check_token(token)
    localizer = Localizer.load(model, device=device, precision=precision, confident=confident)
    with listen(host, port) as listening:
        if token is None and not is_loopback(host):
            warn(f"everybody who can reach --host {host} can use this service; ask for a token with --token-file")
        extraction, reason = _videos(localizer, videos)
        run(
            Work(localizer, limits, extraction, reason),
            listening,
            token,
            lambda address: print(f"Serving {model} on {address}; Ctrl-C stops it", flush=True),
        )


def _token(file: Path | None) -> str | None:
    """Read the token, of a file or of the environment; `None` if there is none.

    Raises:
        ConfigError: if the file cannot be read, or holds none.
    """
    if file is None:
        return os.environ.get(TOKEN) or None
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no ASCII text"
        raise ConfigError(f"--token-file {file}: cannot be read ({reason})") from None
    if not token:
        raise ConfigError(f"--token-file {file}: is empty, but has to hold a token")
    return token


def _videos(localizer: Localizer, processes: int) -> tuple[VideoExtraction | None, str]:
    """Start what makes features of videos; or say why there is nothing that does."""
    from untrimmed.service.extraction import VideoExtraction, check_fits, choice_of  # noqa: PLC0415

    if not processes:
        return None, ""
    try:
        choice = choice_of(localizer, str(next(localizer.model.parameters()).device))
    except ModelError as error:
        return None, str(error)
    try:
        extraction = VideoExtraction(choice, processes)
    except UntrimmedError as error:
        warn(f"videos are not taken: {error}")
        return None, "its extractor cannot be opened here"
    try:
        check_fits(localizer, extraction.greeting)
    except ModelError as error:
        extraction.close()
        warn(f"videos are not taken: {error}")
        return None, "its extractor is another one here"
    return extraction, ""
