"""The Python API: a model without a server, from scripts, threads, event loops, and other processes."""

import asyncio
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import labeld
from labeld import Classifier, LabeldError, LabelScore
from tests.support.rankings import same
from tests.support.tiny_models import TEXTS

PAIR = ("the film was good", "I love it")


@pytest.fixture(scope="module")
def classifier(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classifier]:
    """A small model of several labels."""
    cache = tmp_path_factory.mktemp("cache")
    with Classifier("org/bert", models_dir=models_dir, cache_dir=cache, threads=1) as opened:
        yield opened


def as_json(rankings: list[list[LabelScore]]) -> list[list[dict[str, Any]]]:
    """Rankings as transformers writes them."""
    return [[one._asdict() for one in ranking] for ranking in rankings]


def test_the_public_names_are_few() -> None:
    """`__all__` lists the public names, and each exists."""
    assert {name: getattr(labeld, name).__name__ for name in labeld.__all__} == {name: name for name in labeld.__all__}


def test_rankings_are_those_of_transformers(classifier: Classifier, expected: Callable[..., Any]) -> None:
    """Texts of a list are answered in their order, as transformers' pipeline answers each by itself."""
    same(as_json(classifier(TEXTS)), expected("org/bert", TEXTS))


def test_one_text_has_one_ranking(classifier: Classifier, expected: Callable[..., Any]) -> None:
    """A text or a pair that is given by itself is answered by its own ranking."""
    single = expected("org/bert", [TEXTS[0], {"text": PAIR[0], "text_pair": PAIR[1]}])

    same(as_json([classifier(TEXTS[0]), classifier(PAIR)]), single)


def test_pairs_stand_beside_texts(classifier: Classifier) -> None:
    """A list may hold texts and pairs, whose rankings are the same as by themselves."""
    together = classifier(["a film", PAIR])

    same(as_json(together), as_json([classifier("a film"), classifier(PAIR)]))


def test_parameters_are_those_of_a_request(classifier: Classifier, expected: Callable[..., Any]) -> None:
    """top_k and function_to_apply mean what they mean to transformers."""
    asked = {"top_k": 2, "function_to_apply": "sigmoid"}

    same(as_json(classifier(TEXTS, **asked)), expected("org/bert", TEXTS, **asked))


def test_a_text_that_cannot_be_classified_has_its_error_for_a_ranking(
    classifier: Classifier, expected: Callable[..., Any]
) -> None:
    """Those beside it are answered, and what is wrong for all of them is raised."""
    long = "film " * 600
    texts = [TEXTS[0], long, *TEXTS[1:], long]
    found = list(classifier.outcomes(texts * 20))
    errors = [position for position, one in enumerate(found) if isinstance(one, LabeldError)]

    assert [position for position, text in enumerate(texts * 20) if text == long] == errors
    assert str(found[errors[-1]]).startswith(f"Text {errors[-1]} of `inputs` is 602 tokens long")
    same(as_json([one for one in found[: len(texts)] if isinstance(one, list)]), expected("org/bert", TEXTS))
    with pytest.raises(LabeldError, match="max_length"):
        list(classifier.outcomes(TEXTS, max_length=1))


@pytest.mark.parametrize("asked", [{}, {"stride": 8}])
def test_a_group_has_the_same_scores_to_the_last_bit_beside_any_other(
    classifier: Classifier, asked: dict[str, Any]
) -> None:
    """Its texts share their batches with no others; one that cannot be classified is left out of them."""
    groups = [[f"{text} {'film ' * number}" for text in TEXTS] * 9 for number in range(3)]
    groups[1].insert(5, "film " * 600)
    together = list(classifier.group_outcomes([*groups, [], *groups], **asked))
    alone = [found for group in groups for found in classifier.group_outcomes([group], **asked)]

    wrong = [position for position, one in enumerate(alone[1]) if isinstance(one, LabeldError)]

    assert [] == together.pop(3)
    assert wrong == ([] if asked else [5])
    for found, by_itself in zip(together, alone * 2, strict=True):
        assert [one for one in found if isinstance(one, list)] == [one for one in by_itself if isinstance(one, list)]


def test_a_long_text_is_read_in_windows(classifier: Classifier) -> None:
    """With stride, whose scores become one as aggregate says."""
    text = "good film " * 100 + "bad " * 100
    highest, mean = (classifier(text, stride=8, aggregate=how, function_to_apply="none") for how in ("max", "mean"))

    assert all(dict(highest)[label] > score for label, score in mean)


def test_long_texts_are_cut_when_asked(classifier: Classifier) -> None:
    """A text that is too long is an error that names its position, and with truncation it is answered."""
    texts = ["short"] * 70 + ["film " * 600]
    with pytest.raises(LabeldError, match=r"^Text 70 of"):
        classifier(texts)

    assert len(classifier(texts, truncation=True)) == 71


def test_a_stream_is_read_as_it_is_answered(classifier: Classifier) -> None:
    """Of an endless iterable only a bounded number is read ahead."""
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield f"text {read}"

    stream = classifier.stream(endless(), top_k=1)
    rankings = [next(stream) for _ in range(1000)]
    stream.close()  # type: ignore[attr-defined]  # a generator

    assert [len(ranking) for ranking in rankings] == [1] * 1000
    assert read < 2000


def test_an_iterable_that_fails_passes_its_error_on(classifier: Classifier) -> None:
    """An exception of the caller's iterable reaches the caller, and the classifier goes on."""

    def broken() -> Iterator[str]:
        yield "a text"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(classifier.stream(broken()))

    assert classifier("a text")


def test_it_works_inside_an_event_loop(classifier: Classifier) -> None:
    """`aclassify` leaves the caller's loop free, and a plain call works there as well, as in a notebook."""

    async def story() -> tuple[Any, Any, Any]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        awaited = await classifier.aclassify(["a film"] * 200)
        ticking.cancel()
        return awaited, classifier("a film"), ticks

    awaited, called, ticks = asyncio.run(story())

    same(as_json(awaited), as_json([called] * 200))
    assert ticks > 1


def test_a_cancelled_call_leaves_the_classifier_well(classifier: Classifier) -> None:
    """Who stops waiting stops only its own work."""

    async def story() -> None:
        task = asyncio.create_task(classifier.aclassify(["film " * 100] * 2000))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())

    assert classifier("a film")


def test_threads_share_it(classifier: Classifier) -> None:
    """Every thread gets the rankings of its own texts."""
    texts = [f"the film number {number} was good" for number in range(40)]
    alone = [classifier(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(classifier, texts))

    same(as_json(together), as_json(alone))


def test_a_pickled_copy_opens_its_model_anew(classifier: Classifier) -> None:
    """In another process too, which knows nothing but the pickle."""
    script = "import pickle, sys; print(pickle.load(sys.stdin.buffer)('a film', top_k=1)[0].label)"
    ran = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps(classifier), capture_output=True, check=True
    )

    assert ran.stdout.decode().strip() == classifier("a film", top_k=1)[0].label


def test_after_a_fork_it_says_what_to_do(classifier: Classifier) -> None:
    """The child has no threads of its parent's: the sentence says so instead of waiting for ever."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            classifier("a film")
        except LabeldError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert b"open one in this process" in os.read(read, 1000)


def test_a_closed_one_says_so(models_dir: Path, tmp_path: Path) -> None:
    """Closing twice is fine, its facts stay, and a call raises."""
    with Classifier("org/bert", models_dir=models_dir, cache_dir=tmp_path) as opened:
        labels = opened.labels
    opened.close()

    assert (labels, "closed" in repr(opened)) == (opened.labels, True)
    with pytest.raises(LabeldError, match=r"closed: open another"):
        opened("a film")


@pytest.mark.slow
def test_it_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    """No environment variable, signal handler, log handler or importable module changes, and no thread is left."""
    script = """
import logging, os, signal, sys, threading
from labeld import Classifier

def state():
    handlers = [signal.getsignal(one) for one in signal.valid_signals()]
    return dict(os.environ), handlers, logging.root.handlers[:], "openvino_telemetry" in sys.modules

before = state()
with Classifier() as classifier:
    classifier(["a film"] * 300)
    assert state() == before, state()
assert state() == before
left = [one.name for one in threading.enumerate() if one is not threading.main_thread()]
assert left == [], left
"""
    command = [sys.executable, "-W", "error", "-c", script]
    environment = {**os.environ, "LABELD_CACHE_DIR": str(tmp_path)}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert (0, "") == (ran.returncode, ran.stderr)


def test_one_that_is_forgotten_ends_its_thread(models_dir: Path, tmp_path: Path) -> None:
    """Without `close` the thread ends with the last reference."""
    opened = Classifier("org/bert", models_dir=models_dir, cache_dir=tmp_path)
    before = {one for one in threading.enumerate() if one.name == "labeld-classifier"}
    del opened
    after = {one for one in threading.enumerate() if one.name == "labeld-classifier"}

    assert len(before) - len(after) == 1


@pytest.mark.slow
def test_one_that_is_left_open_ends_with_its_script(tmp_path: Path) -> None:
    """Quietly, whether it computes or not."""
    script = """
from labeld import Classifier
classifier = Classifier(threads=1)
stream = classifier.stream("film " * 50 for _ in range(300))
assert next(stream)
"""
    environment = {**os.environ, "LABELD_CACHE_DIR": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)

    assert (0, "") == (ran.returncode, ran.stderr)


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (["a", 3], "Input 1 is int '3', but must be a text or a pair of texts"),
        ([["a"]], "Input 0 is list"),
        (("a", "b", "c"), "Input 0 is tuple"),
        ({"text": "a"}, "The input is dict, but must be a text, a pair of texts, or a list of them"),
        (b"a", "The input is bytes"),
        (None, "The input is NoneType, but must be a text, a pair of texts, or a list of them"),
        (3.5, "The input is float"),
        ("\ud800", "Input 0 has half of a surrogate pair"),
    ],
)
def test_what_is_no_text_is_refused(classifier: Classifier, inputs: Any, sentence: str) -> None:
    """The sentence names the input, what it is, and what it must be."""
    with pytest.raises(LabeldError, match=sentence):
        classifier(inputs)


def test_a_text_in_place_of_texts_is_refused(classifier: Classifier) -> None:
    """Its characters would be answered as if they were texts."""
    for given in (classifier.stream, classifier.outcomes, classifier.group_outcomes):
        with pytest.raises(LabeldError, match="one text, where a list of texts is wanted"):
            list(given("a good film"))
    with pytest.raises(LabeldError, match="one text"):
        list(classifier.group_outcomes(["a good film"]))


def test_parameters_that_are_none_are_refused(classifier: Classifier) -> None:
    """An impossible value raises the sentence of a request, and an unknown name the error of Python."""
    with pytest.raises(
        LabeldError, match=r"^`top_k` must be a whole number from 1, or None for all labels, but is 0\.$"
    ):
        classifier("a", top_k=0)
    with pytest.raises(TypeError, match="topk"):
        classifier("a", topk=1)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("text", "parameters", "sentence"),
    [
        ("film " * 600, {}, "Text 0 of `inputs` is 602 tokens long, .*: shorten it, or pass truncation=True."),
        (
            "x" * 200_000,
            {},
            r"Text 0 of `inputs` has 200000 .*\(setting LABELD_MAX_TEXT_CHARACTERS, .* truncation=True.",
        ),
        ("a", {"max_length": 1}, "`max_length` is 1, but the special tokens alone need 2: ask for more."),
        (
            "film " * 600,
            {"truncation": "only_second"},
            "`truncation` only_second cannot make this text short enough: .*",
        ),
        ("a", {"truncation": "on"}, "`truncation` must be True, False, longest_first, .*, but is 'on'."),
        ("a", {"max_length": True}, "`max_length` must be a whole number .* None for .*, but is True."),
        ("a", {"function_to_apply": 3}, "`function_to_apply` must be sigmoid, .* or None for .*, but is 3."),
    ],
)
def test_errors_are_in_the_words_of_python(
    classifier: Classifier, text: str, parameters: dict[str, Any], sentence: str
) -> None:
    """A sentence names parameters and values as Python writes them, and settings by their environment variables."""
    with pytest.raises(LabeldError, match=f"^{sentence}$"):
        classifier(text, **parameters)


def test_a_misspelt_variable_is_named(models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a warning, which points at the caller."""
    monkeypatch.setenv("LABELD_PRECISON", "bfloat16")
    with pytest.warns(UserWarning, match=r"LABELD_PRECISON is no setting: is it LABELD_PRECISION\?") as said:
        Classifier("org/bert", models_dir=models_dir, cache_dir=tmp_path, threads=1).close()

    assert [__file__] == [one.filename for one in said]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"precision": "int3"}, "precision has 'int3'"),
        ({"threads": -1}, "threads is -1"),
        ({"models_dir": "/nowhere"}, "models_dir is '/nowhere', which cannot be read"),
        (
            {"model": "no/such", "offline": True},
            r"^Model no/such is not on this machine, .*: it is offline \(offline=True or HF_HUB_OFFLINE\)\.$",
        ),
        ({"model": "../etc"}, "does not exist: name it by its id, such as org/name"),
        ({"model": "/data/model"}, "^Model /data/model does not exist: .* by LABELD_MODELS_DIR"),
        ({"model": "https://huggingface.co/org/name"}, "does not exist: name it by its id, such as org/name"),
    ],
)
def test_what_cannot_be_opened_is_said(settings: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    """A setting is named as the parameter that it is."""
    with pytest.raises(LabeldError, match=sentence):
        Classifier(**settings, cache_dir=tmp_path)
