"""A client of the Hub: the commit and the files of a revision, and the bytes of one file.

The addresses, the headers' names and the HTTP session are huggingface_hub's; its downloader is not used, since it
verifies no hash, follows redirects anywhere and sleeps for as long as the Hub says (decision record 0004). Nothing here
trusts the Hub: replies are bounded in bytes and in time, and what a file holds is for the caller to verify.
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, urlsplit

from labeld.checkpoint.shards import INDEX_LIMIT
from labeld.config.hub import Hub as HubSettings
from labeld.errors import FolderError, ModelBrokenError, ModelNotFoundError, SettingsError, UnavailableError
from labeld.repository.errors import GatedModelError, HubFailedError
from labeld.repository.files import ModelFile, needed_files
from labeld.repository.url_policy import origin, redirected

if TYPE_CHECKING:
    import httpx2

DEFAULT_REVISION = "main"
COMMIT = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}|git-sha1:[0-9a-f]{40}")

QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "HF_HUB_DISABLE_XET": "1"}
QUIET |= {"HF_HUB_OFFLINE": "0"}  # whether to connect at all is our own setting `offline`
"""Environment variables that huggingface_hub reads when it is imported."""

REPLY_LIMIT = 20_000_000
"""Bytes of the Hub's description of a model; those of the largest repositories have 2 million."""

REDIRECTS = 5
RESUMES = 5
"""Times that one call resumes an interrupted download, at most."""

PAUSE = 0.2
"""Seconds before an interrupted download is resumed."""

LEAST_RATE = 1024
"""Bytes per second, on average, below which a download is aborted."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit of a model with its needed files: the config first, the weights last."""

    commit: str
    files: tuple[ModelFile, ...]
    is_classifier: bool
    """True when the Hub describes a text classifier, by its architecture, or else by its `pipeline_tag`."""
    task: str | None = None
    """Its `pipeline_tag`."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


class _CutError(HubFailedError):
    """The connection ended before the file did, so that the download can be resumed."""


class Hub:
    """A Hub, or a mirror of one. Blocking; may be used from several threads."""

    def __init__(self, settings: HubSettings) -> None:
        """Raises SettingsError when the endpoint is not a URL."""
        self._endpoint = settings.hf_endpoint.rstrip("/")
        parts = urlsplit(self._endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in parts.netloc:
            raise SettingsError(f"hf_endpoint is {self._endpoint!r}, but must be like https://huggingface.co.")
        self._timeout = settings.hub_timeout
        token = (settings.hf_token or "").strip()
        if not re.fullmatch(r"[!-~]*", token):
            raise SettingsError("HF_TOKEN has characters that no token has.")
        self._own_headers = {"authorization": f"Bearer {token}"} if token else {}
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ends the downloads that run: each raises UnavailableError soon, and can be resumed."""
        self._stopping.set()

    def snapshot(self, model_id: str, revision: str) -> Snapshot:
        """The Hub's description of a branch, a tag or a commit.

        Raises ModelNotFoundError, GatedModelError, HubFailedError, or ModelBrokenError when files are missing there.
        """
        url = f"{self._endpoint}/api/models/{model_id}/revision/{quote(revision, safe='')}?blobs=true"
        with self._get(model_id, url) as response:
            if response.status_code == 404:
                raise ModelNotFoundError(model_id if revision == DEFAULT_REVISION else f"{model_id}@{revision}")
            self._require_success(model_id, response)
            body = b"".join(self._chunks(model_id, response, REPLY_LIMIT))
        try:
            description = json.loads(body)
            commit = str(description["sha"])
            files = [_model_file(sibling) for sibling in description["siblings"] if "/" not in sibling["rfilename"]]
            is_classifier, task = _is_classifier(description), description.get("pipeline_tag")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise HubFailedError(model_id, "describes it in a way that is not understood") from None
        if not COMMIT.fullmatch(commit) or (COMMIT.fullmatch(revision) and commit != revision):
            raise HubFailedError(model_id, "answers with another commit than it was asked for")
        try:
            needed = tuple(needed_files(files, partial(self._index, model_id, commit)))
        except FolderError as error:
            raise ModelBrokenError(model_id, str(error)) from None
        if not all(file.size >= 0 and DIGEST.fullmatch(file.digest) for file in needed):
            raise HubFailedError(model_id, "does not say the sizes and the hashes of its files")
        return Snapshot(commit, needed, is_classifier, task if isinstance(task, str) else None)

    def download(
        self, model_id: str, commit: str, file: ModelFile, path: Path, on_bytes: Callable[[int], None]
    ) -> None:
        """Adds to `path` what is missing until it has the size of the file; `on_bytes` gets the bytes so far.

        The content is the caller's to verify. Raises HubFailedError, GatedModelError, UnavailableError after `stop`,
        and OSError when the disk is full; what has come until then stays.
        """
        for left in reversed(range(RESUMES + 1)):
            before = _size(path)
            try:
                self._append(model_id, commit, file, path, on_bytes)
            except _CutError:
                if not left or _size(path) <= before:
                    raise
                self._require_running(PAUSE)
            else:
                return

    def _index(self, model_id: str, commit: str, file: ModelFile) -> bytes:
        """The content of the file that names the shards, verified."""
        if file.size > INDEX_LIMIT:
            raise FolderError(f"{file.name} has {file.size} bytes, more than the limit of {INDEX_LIMIT}.")
        with self._get(model_id, self._url(model_id, commit, file)) as response:
            self._require_success(model_id, response)
            content = b"".join(self._chunks(model_id, response, file.size))
        if not file.is_content(content):
            raise HubFailedError(model_id, f"sends a {file.name} that is not what its hash says")
        return content

    def _url(self, model_id: str, commit: str, file: ModelFile) -> str:
        url: str = _library().hf_hub_url(model_id, file.name, revision=commit, endpoint=self._endpoint)
        return url

    def _append(self, model_id: str, commit: str, file: ModelFile, path: Path, on_bytes: Callable[[int], None]) -> None:
        have = _size(path)
        if have > file.size:
            have = 0
        elif have == file.size and path.exists():
            on_bytes(have)
            return
        url = self._url(model_id, commit, file)
        wanted = {"range": f"bytes={have}-"} if have else {}
        with self._get(model_id, url, wanted) as response:
            self._require_success(model_id, response)
            start = response.headers.get("content-range", "").partition("-")[0]
            if response.status_code != 206 or start != f"bytes {have}":
                have = 0  # this is the whole file, whatever was asked for
            with path.open("ab" if have else "wb") as output:
                for chunk in self._chunks(model_id, response, file.size - have):
                    output.write(chunk)
                    have += len(chunk)
                    on_bytes(have)
        if have != file.size:
            raise HubFailedError(model_id, f"sends {have} bytes of {file.name}, which should be {file.size}")

    @contextmanager
    def _get(self, model_id: str, url: str, wanted: Mapping[str, str] | None = None) -> Iterator["httpx2.Response"]:
        """The reply to a GET, after the redirects that may be followed; the token goes to the endpoint only."""
        library = _library()
        import httpx2  # noqa: PLC0415  # what its session is made of

        headers = {"user-agent": f"labeld/{version('labeld')}", "accept-encoding": "identity", **(wanted or {})}
        try:
            for _ in range(REDIRECTS):
                own = self._own_headers if origin(url) == origin(self._endpoint) else {}
                with library.get_session().stream(
                    "GET", url, headers=headers | own, timeout=self._timeout, follow_redirects=False
                ) as response:
                    if not response.has_redirect_location:
                        yield response
                        return
                    target = redirected(self._endpoint, url, response.headers["location"])
                if target is None:
                    raise HubFailedError(model_id, "redirects to an address that is not allowed")
                url = target
            raise HubFailedError(model_id, "redirects without end")
        except httpx2.TimeoutException:
            raise _CutError(model_id, f"is silent for {self._timeout:g} seconds") from None
        except httpx2.ConnectError:
            raise HubFailedError(model_id, "cannot be reached") from None
        except (httpx2.HTTPError, httpx2.InvalidURL):
            raise _CutError(model_id, "breaks off the connection") from None
        except library.errors.OfflineModeIsEnabled:
            raise HubFailedError(model_id, "cannot be asked, since HF_HUB_OFFLINE was set at the start") from None

    def _require_success(self, model_id: str, response: "httpx2.Response") -> None:
        """Raises for every status but 200 and 206, by huggingface_hub's error codes (contract section 6.1)."""
        if response.status_code in (200, 206):
            if response.headers.get("content-encoding", "identity") != "identity":
                raise HubFailedError(model_id, "sends it compressed")
            return
        _refuse(model_id, response, with_token=bool(self._own_headers))

    def _require_running(self, after: float = 0.0) -> None:
        if self._stopping.wait(after):
            raise UnavailableError("This server is stopping: try again in a moment.")

    def _chunks(self, model_id: str, response: "httpx2.Response", limit: int) -> Iterator[bytes]:
        """The parts of a body of at most `limit` bytes; raises when it is too slow."""
        began, received = time.monotonic(), 0
        for chunk in response.iter_raw():
            self._require_running()
            received += len(chunk)
            if received > limit:
                raise HubFailedError(model_id, "sends more bytes than it said")
            seconds = time.monotonic() - began
            if seconds > self._timeout and received < LEAST_RATE * seconds:
                raise HubFailedError(model_id, f"sends fewer than {LEAST_RATE} bytes per second")
            yield chunk


def _library() -> Any:
    """huggingface_hub, imported at the first call, since it is slow and a start needs no Hub.

    The environment is as it was afterwards, and a program that has imported huggingface_hub keeps its own choices.
    """
    before = {name: os.environ.pop(name, None) for name in QUIET}
    os.environ.update(QUIET)
    try:
        import huggingface_hub.errors  # noqa: PLC0415
        import huggingface_hub.utils  # noqa: PLC0415
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return huggingface_hub


def _refuse(model_id: str, response: "httpx2.Response", *, with_token: bool) -> NoReturn:
    status, code = response.status_code, response.headers.get("x-error-code")
    if code == "GatedRepo" or status == 403:
        raise GatedModelError(model_id)
    if status == 401 and with_token and code != "RepoNotFound":
        raise HubFailedError(model_id, "does not accept the token of this server (HF_TOKEN)")
    if status == 401:  # the Hub does not say whether there is a private model of this name
        raise ModelNotFoundError(model_id)
    if status == 429:
        limit = _library().utils.parse_ratelimit_headers(response.headers)
        wait = response.headers.get("retry-after", "")
        seconds = float(wait) if wait.isdecimal() else float(limit.reset_in_seconds) if limit else 5.0
        raise HubFailedError(model_id, "has had too many requests", seconds)
    raise HubFailedError(model_id, f"answers with status {status}")


def _is_classifier(description: dict[str, Any]) -> bool:
    architectures = (description.get("config") or {}).get("architectures")
    if architectures:
        return str(architectures[0]).endswith("ForSequenceClassification")
    return description.get("pipeline_tag") == "text-classification"


def _model_file(sibling: Any) -> ModelFile:
    lfs = sibling.get("lfs")
    if lfs:
        return ModelFile(sibling["rfilename"], int(lfs["size"]), f"sha256:{lfs['sha256']}")
    size = sibling.get("size")
    return ModelFile(sibling["rfilename"], -1 if size is None else int(size), f"git-sha1:{sibling.get('blobId')}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
