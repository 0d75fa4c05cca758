from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steps.errors import ReleaseError
from steps.registry.push import push
from steps.registry.release import HubSettings
from tests.registry.hub_server import FakeHub

# The library uploads files with an argument that its own HTTP client deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TOKEN = "hf_a-secret-that-must-not-show"
REPO = "team/notes-model"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    # All other tests run with the Hub switched off, and the local server speaks LFS, not Xet.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("TEAM_TOKEN", TOKEN)
    with FakeHub(TOKEN) as running:
        yield running


def settings(hub: FakeHub, **changes: object) -> HubSettings:
    return HubSettings(**{"repo_id": REPO, "endpoint": hub.endpoint, "token_env": "TEAM_TOKEN", **changes})


def contents(release: Path) -> dict[str, bytes]:
    return {path.relative_to(release).as_posix(): path.read_bytes() for path in release.rglob("*") if path.is_file()}


def test_a_release_arrives_whole_in_one_commit_of_a_private_repository(hub: FakeHub, make_release: Callable[..., Path]):
    release = make_release()
    pushed = push(release, settings(hub))
    assert hub.files[REPO] == {".gitattributes": b"", **contents(release)}
    assert hub.private[REPO] is True
    assert len(hub.commits[REPO]) == 2
    assert pushed == (REPO, hub.commits[REPO][-1], f"{hub.endpoint}/{REPO}")
    assert {"model.safetensors", "adapter/adapter_model.safetensors"} <= hub.files[REPO].keys()


def test_files_of_an_earlier_release_do_not_stay(hub: FakeHub, make_release: Callable[..., Path]):
    hub.add(REPO, {".gitattributes": b"lfs", "model-00001-of-00002.safetensors": b"old", "README.md": b"old"})
    release = make_release()
    push(release, settings(hub))
    assert hub.files[REPO] == {".gitattributes": b"lfs", **contents(release)}
    assert len(hub.commits[REPO]) == 2


@pytest.mark.parametrize(("route", "status"), [("commit", 500), ("upload", 403), ("preupload", 404), ("yaml", 400)])
def test_a_failure_on_the_way_leaves_the_repository_as_it_was(
    hub: FakeHub, make_release: Callable[..., Path], route: str, status: int
):
    hub.add(REPO, {"README.md": b"old"})
    hub.faults[route] = deque([status])
    with pytest.raises(ReleaseError, match=r"No commit was made; .* can be pushed again") as caught:
        push(make_release(), settings(hub))
    assert hub.files[REPO] == {"README.md": b"old"}
    assert len(hub.commits[REPO]) == 1
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("route", ["create", "commit"])
def test_a_busy_hub_is_asked_again(hub: FakeHub, make_release: Callable[..., Path], route: str):
    hub.faults[route] = deque([503, 503])
    release = make_release()
    push(release, settings(hub), backoff_s=0.001)
    assert hub.requests.count(route) == 3
    assert hub.requests.count("upload") == 2  # what is stored already is not sent again
    assert contents(release).items() <= hub.files[REPO].items()


def test_a_hub_that_stays_busy_is_given_up(hub: FakeHub, make_release: Callable[..., Path]):
    hub.faults["create"] = deque([503] * 10)
    with pytest.raises(ReleaseError, match="503"):
        push(make_release(), settings(hub), n_tries=3, backoff_s=0.001)
    assert hub.requests == ["create"] * 3


def test_a_private_model_never_goes_to_a_public_repository(hub: FakeHub, make_release: Callable[..., Path]):
    hub.add(REPO, {"README.md": b"old"}, private=False)
    release = make_release()
    with pytest.raises(ReleaseError, match=r"is public, but release\.hub\.private is true"):
        push(release, settings(hub))
    assert hub.files[REPO] == {"README.md": b"old"}
    assert "upload" not in hub.requests
    push(release, settings(hub, private=False))
    assert len(hub.commits[REPO]) == 2


def test_a_refused_token_is_named_by_its_variable_and_never_shown(
    hub: FakeHub, make_release: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("TEAM_TOKEN", "hf_wrong-token")
    with pytest.raises(ReleaseError) as caught:
        push(make_release(), settings(hub))
    assert hub.unauthorised
    assert "hf_wrong-token" not in f"{caught.value} {caught.value.__cause__} {caplog.text}"
    monkeypatch.delenv("TEAM_TOKEN")
    with pytest.raises(ReleaseError, match="TEAM_TOKEN, which is not set"):
        push(make_release("second"), settings(hub))


def test_a_damaged_release_is_not_pushed(hub: FakeHub, make_release: Callable[..., Path]):
    release = make_release()
    (release / "config.json").write_text("{}")
    with pytest.raises(ReleaseError, match=r"config\.json differ from SHA256SUMS"):
        push(release, settings(hub))
    assert hub.requests == []


@pytest.mark.parametrize(
    "wrong",
    [{"repo_id": "no-owner"}, {"endpoint": "hub.example"}, {"token_env": "hf_abc123"}, {"repo_id": "a/b/c"}],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, str]):
    with pytest.raises(ValueError, match="String should match pattern"):
        HubSettings(**{"repo_id": REPO, **wrong})
