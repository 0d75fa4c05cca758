"""Push of a release to the Hugging Face Hub: one commit, which is there completely or not at all."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from steps.errors import ReleaseError
from steps.registry.release import HubSettings, check_sums

if TYPE_CHECKING:
    from huggingface_hub import HfApi

#: Statuses after which the Hub asks to come again; the library itself retries uploads, but not the commit.
_BUSY = (429, 503)

T = TypeVar("T")


class PushResult(NamedTuple):
    """The commit that holds the release."""

    repo_id: str
    commit: str
    url: str


def push(release: Path, settings: HubSettings, *, n_tries: int = 5, backoff_s: float = 1.0) -> PushResult:
    """Push a release as one commit that makes the repository equal to it.

    Files of an earlier release that this one does not have are removed by the same commit.

    Raises:
        ReleaseError: if the release is damaged, the token's variable is unset, the repository is public against the
            configuration, or the Hub refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    check_sums(release)
    token = token_of(settings)
    api = HfApi(endpoint=settings.endpoint, token=token)
    try:
        with _bars_only_on_a_terminal():
            return _retried(lambda: _commit(api, release, settings), n_tries, backoff_s)
    except ReleaseError:
        raise
    except OfflineModeIsEnabled as error:
        raise ReleaseError(f"HF_HUB_OFFLINE is set, so {settings.repo_id} cannot be pushed; unset it") from error
    except (HfHubHTTPError, OSError, RuntimeError, ValueError) as error:
        said = " ".join(f"{error} {error.__cause__ or ''}".split()).replace(token, "***")
        raise ReleaseError(
            f"the Hub did not take {settings.repo_id}: {said}. No commit was made; the release stands in {release} "
            "and can be pushed again"
        ) from None  # the cause may show request headers


def token_of(settings: HubSettings) -> str:
    """Return the Hub token from the environment.

    Raises:
        ReleaseError: if the variable that the configuration names is unset.
    """
    token = os.environ.get(settings.token_env, "").strip()
    if not token:
        raise ReleaseError(
            f"release.hub.token_env names {settings.token_env}, which is not set; export it with a token that may "
            f"write to {settings.repo_id}, or remove release.hub"
        )
    return token


def _commit(api: HfApi, release: Path, settings: HubSettings) -> PushResult:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    url = api.create_repo(settings.repo_id, private=settings.private, exist_ok=True)
    present = api.model_info(settings.repo_id)
    if settings.private and not present.private:
        raise ReleaseError(
            f"{settings.repo_id} is public, but release.hub.private is true; make it private on the Hub, or set "
            "private: false if the world may see this model"
        )
    files = {path.relative_to(release).as_posix(): path for path in sorted(release.rglob("*")) if path.is_file()}
    former = {sibling.rfilename for sibling in present.siblings or []}
    operations: list[Any] = [CommitOperationAdd(name, path) for name, path in files.items()]
    operations += [CommitOperationDelete(name) for name in sorted(former - files.keys() - {".gitattributes"})]
    info = api.create_commit(settings.repo_id, operations, commit_message="Release by Tunesmith")
    return PushResult(settings.repo_id, info.oid, str(url))


@contextmanager
def _bars_only_on_a_terminal() -> Iterator[None]:
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if sys.stderr.isatty() or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _retried(attempt: Callable[[], T], n_tries: int, backoff_s: float) -> T:
    from huggingface_hub.errors import HfHubHTTPError

    for n_failed in range(1, n_tries):
        try:
            return attempt()
        except HfHubHTTPError as error:
            if error.response.status_code not in _BUSY:
                raise
            time.sleep(backoff_s * 2 ** (n_failed - 1))
    return attempt()
