"""Models that are not loaded when they are asked for, over HTTP: waiting, refusing, evicting, loading again."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from tests.support.more_models import with_ballast
from tests.support.rankings import same
from tests.support.server_process import NO_CACHE, Server, serving, wait_until
from tests.support.tiny_models import TEXTS

Ask = Callable[..., list[Any]]
MB = 10**6
ASLEEP = {"x-load-model": "0"}


@pytest.fixture(scope="module")
def shelf(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: small ones, a broken one, three that take 200 MB as far as the server knows, one of 4 GB."""
    root = tmp_path_factory.mktemp("shelf")
    for name in ("bert", "distilbert", "one-label", "multi-label"):
        shutil.copytree(models_dir / "org" / name, root / "org" / name)
    for name in ("first", "second", "third"):
        with_ballast(models_dir / "org/bert", root / "heavy" / name, 200 * MB)
    with_ballast(models_dir / "org/bert", root / "heavy/huge", 4000 * MB)
    shutil.copytree(models_dir / "org/bert", root / "org/broken")
    (root / "org/broken/tokenizer.json").write_text("{")
    return root


@pytest.fixture(scope="module")
def hasty(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that holds no request for a cold model, and whose memory is enough for one of the 200 MB."""
    flags = ["--load-grace", "0", "--memory-budget", "530MB"]
    with serving(
        tmp_path_factory.mktemp("hasty"), "org/bert", "--models-dir", str(shelf), *flags, *NO_CACHE
    ) as running:
        yield running


def asleep(server: Server, model: str) -> bool:
    """Whether a model is not loaded: asked so that it is not loaded by asking."""
    reply = server.post(f"/models/{model}", json={"inputs": "a"}, headers=ASLEEP)
    assert reply.status_code in (200, 404), reply.text
    return reply.status_code == 404


def test_a_cold_model_is_503_until_it_is_loaded(hasty: Server, expected: Ask) -> None:
    """With the recorded sentence, the id as it was asked for, an estimate and when to return; the load goes on."""
    reply = hasty.post("/models/distilbert/", json={"inputs": TEXTS})

    assert (503, {"error", "estimated_time"}) == (reply.status_code, set(reply.json()))
    assert "Model distilbert is currently loading" == reply.json()["error"] == reply.headers["x-error-message"]
    assert isinstance(reply.json()["estimated_time"], float)
    assert reply.json()["estimated_time"] > 0
    assert 1 <= int(reply.headers["retry-after"]) <= 30
    assert "application/json" == reply.headers["content-type"]
    assert wait_until(lambda: not asleep(hasty, "org/distilbert"), 60)
    same(hasty.classify(TEXTS, "org/distilbert"), expected("org/distilbert", TEXTS))


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("org/one-label", {"headers": {"x-wait-for-model": "true"}}),
        ("org/multi-label", {"headers": {"X-Wait-For-Model": "1"}}),
        ("heavy/third", {"json": {"inputs": TEXTS, "options": {"wait_for_model": True}}}),
    ],
)
def test_a_request_that_waits_is_answered(hasty: Server, expected: Ask, model: str, options: dict[str, Any]) -> None:
    """By its header or by the option in its body, and never with 503."""
    assert asleep(hasty, model)
    reply = hasty.post(f"/models/{model}", **{"json": {"inputs": TEXTS}, **options})

    assert 200 == reply.status_code, reply.text
    same(reply.json(), expected("org/bert" if model.startswith("heavy") else model, TEXTS))


def test_huggingface_hub_waits_as_the_documents_say(hasty: Server, expected: Ask) -> None:
    """With the header the first call for a cold model is answered; without it the client gives up at once."""
    for model in ("heavy/second", "heavy/first"):  # the one evicts the other
        url = f"{hasty.url}/models/{model}"
        ranking = InferenceClient(model=url, headers={"x-wait-for-model": "true"}).text_classification(TEXTS[0])
        same([[dict(one) for one in ranking]], expected("org/bert", TEXTS[:1]))
    with pytest.raises(HfHubHTTPError, match="Model heavy/third is currently loading"):
        InferenceClient(model=f"{hasty.url}/models/heavy/third").text_classification(TEXTS[0])
    assert wait_until(lambda: not asleep(hasty, "heavy/third"), 60)


def test_a_request_that_must_not_load_does_not(hasty: Server) -> None:
    """A cold model is 404 with a sentence, however it is said, and stays cold."""
    reply = hasty.post("/models/heavy/second", json={"inputs": "a"}, headers=ASLEEP)
    in_body = hasty.post("/models/heavy/second", json={"inputs": "a", "options": {"dont_load_model": True}})

    assert (404, 404) == (reply.status_code, in_body.status_code)
    assert "Model heavy/second is not loaded yet" in reply.json()["error"] == in_body.json()["error"]
    assert asleep(hasty, "heavy/second")
    assert not asleep(hasty, "org/bert")


def test_the_second_evicts_the_first_and_the_first_comes_back(hasty: Server, expected: Ask) -> None:
    """There is room for one; the model named at start stays all the while."""
    for model in ("heavy/first", "heavy/second", "heavy/first"):
        other = {"heavy/first": "heavy/second", "heavy/second": "heavy/first"}[model]
        waiting = {"headers": {"x-wait-for-model": "1"}}
        reply = hasty.post(f"/models/{model}", json={"inputs": TEXTS}, **waiting)

        same(reply.json(), expected("org/bert", TEXTS))
        assert (False, True, False) == (asleep(hasty, model), asleep(hasty, other), asleep(hasty, "org/bert"))


def test_a_model_too_large_is_403_with_both_sizes(hasty: Server) -> None:
    """It evicts nobody, and those who wait get the error as well."""
    hasty.classify("a", "org/bert")
    for headers in ({"x-wait-for-model": "1"}, {"x-wait-for-model": "1"}, {}):
        reply = hasty.post("/models/heavy/huge", json={"inputs": "a"}, headers=headers)

        assert 403 == reply.status_code
        too_large = "The model heavy/huge is too large to be loaded automatically (6.8GB > "
        assert reply.json()["error"].startswith(too_large)
        assert "memory_budget" in reply.json()["error"]
        assert "TooBig" == hasty.get("/status/heavy/huge").json()["state"]
        assert reply.json()["error"] == reply.headers["x-error-message"]
    assert not asleep(hasty, "org/bert")


def test_a_broken_model_says_why(hasty: Server) -> None:
    """To who waits, and from then on to everyone without another try."""
    replies = [
        hasty.post("/models/org/broken", json={"inputs": "a"}, headers=headers)
        for headers in ({"x-wait-for-model": "1"}, {"x-wait-for-model": "1"}, {})
    ]

    assert [500] * 3 == [reply.status_code for reply in replies]
    assert 1 == len({reply.json()["error"] for reply in replies})
    assert "Model org/broken cannot be loaded: tokenizer.json" in replies[0].json()["error"]
    assert 1 == hasty.log.read_text().count("model org/broken cannot be loaded")


def test_waiting_ends_after_max_wait(shelf: Path, expected: Ask, tmp_path: Path) -> None:
    """Those who wait get an error when it is over, the load goes on, and pinning loads nothing."""
    with serving(
        tmp_path, "--pin", "org/one-label", "--models-dir", str(shelf), "--max-wait", "0", *NO_CACHE
    ) as server:
        busy = server.post("/models/org/bert", json={"inputs": "a"}, headers={"x-wait-for-model": "1"})
        assert 500 == busy.status_code
        assert {"error": "Model too busy, unable to get response in less than 0 second(s)"} == busy.json()
        assert wait_until(lambda: not asleep(server, "org/bert"), 60)
        same(server.classify(TEXTS), expected("org/bert", TEXTS))
        assert asleep(server, "org/one-label")


def test_what_cannot_be_pinned_stops_the_start(shelf: Path, tmp_path: Path) -> None:
    """A model named at start that does not fit the budget, and a pinned one that does not exist."""
    for arguments in (["heavy/huge", "--memory-budget", "1GB"], ["--pin", "no/such"]):
        with pytest.raises(TimeoutError) as failed, serving(tmp_path, *arguments, "--models-dir", str(shelf)):
            pass
        assert "too large" in str(failed.value) or "Model no/such does not exist" in str(failed.value)
