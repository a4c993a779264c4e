"""Which folder an id means."""

import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labeld.errors import ModelNotFoundError, SettingsError
from labeld.model_id import valid_id
from labeld.repository.errors import AmbiguousModelError
from labeld.repository.folders import BUNDLED, LISTING_AGE, NAMED, Folders


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """Two organisations, a bare model, and things that are no models."""
    for name in ("org/one", "org/same", "other/same", "bare", "org/.hidden", "org/a--b"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "bare/config.json").touch()
    (tmp_path / "org/file").touch()
    return tmp_path


def test_ids_are_the_folders_and_the_bundled_models(models_dir: Path) -> None:
    """Only what can be an id is one."""
    own = [model_id for model_id in Folders(models_dir).ids() if not model_id.startswith("labeld/")]

    assert ["bare", "org/one", "org/same", "other/same"] == own


@pytest.mark.parametrize(
    ("name", "expected"), [("org/one", "org/one"), ("one", "org/one"), ("bare", "bare"), ("org/one/", "org/one")]
)
def test_a_model_is_found_by_its_id_or_its_unambiguous_name(models_dir: Path, name: str, expected: str) -> None:
    """A bare name finds the one `*/name` that there is."""
    assert (expected, models_dir / expected) == Folders(models_dir).match(name)


def test_an_ambiguous_name_is_refused_with_the_choices(models_dir: Path) -> None:
    """The sentence names both."""
    with pytest.raises(AmbiguousModelError, match=r"org/same, other/same"):
        Folders(models_dir).match("same")


def test_the_operators_folder_comes_before_the_bundled_one(models_dir: Path) -> None:
    """A model of the operator's with a bundled model's id wins."""
    (models_dir / "labeld/sentiment-en").mkdir(parents=True)

    assert models_dir / "labeld/sentiment-en" == Folders(models_dir).match("labeld/sentiment-en")[1]


def test_the_bundled_models_are_found_without_a_models_dir() -> None:
    """By id and by name."""
    assert ("labeld/language-20", BUNDLED / "labeld/language-20") == Folders(None).match("language-20")


@pytest.mark.parametrize(
    "name",
    ["", "/", "..", "../org/one", "org/../org/one", "org", "org/none", "org/one\n", "ORG/one", "a/b/c", "org/one/x"],
)
def test_anything_else_does_not_exist(models_dir: Path, name: str) -> None:
    """No name becomes a path."""
    with pytest.raises(ModelNotFoundError):
        Folders(models_dir).match(name)


def test_a_folder_that_appears_later_is_found(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as the listing is old."""
    monkeypatch.setattr("labeld.repository.folders.LISTING_AGE", 0.0)
    folders = Folders(models_dir)
    folders.ids()
    (models_dir / "org/new").mkdir()

    assert ("org/new", models_dir / "org/new") == folders.match("org/new")


@pytest.mark.parametrize("name", ["none", "file", "file/below", "circle"])
def test_a_models_dir_that_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    """At start, by its setting's name."""
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(SettingsError, match=r"^models_dir is"):
        Folders(tmp_path / name)


def as_nobody(function: Callable[[], object]) -> str:
    """The output of the function in a process without root's rights, with which everything is readable."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writing, "w") as output:
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                logging.basicConfig(stream=output, level=logging.WARNING, force=True)
                print(function(), file=output)
            except BaseException as error:  # noqa: BLE001  # the parent is to see it
                print(f"{type(error).__name__}: {error}", file=output)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as output:
        said = output.read()
    os.waitpid(child, 0)
    return said


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A folder that everybody may reach, with two models and three folders of somebody else's."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        for model in ("mine", "org/mine"):
            (root / model).mkdir(parents=True)
            (root / model / "config.json").touch()
        for locked in ("lost+found", "other", "half"):
            (root / locked).mkdir()
            (root / locked / "config.json").touch()
            (root / locked).chmod(0o744 if locked == "half" else 0o700)
        yield root


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")


@needs_root
def test_a_folder_that_may_not_be_read_is_left_out_with_one_warning(open_dir: Path) -> None:
    """Once, however often the folders are listed; the others are served."""

    def listed() -> object:
        folders = Folders(open_dir)
        for _ in range(3):
            folders._listed_at = -LISTING_AGE
            ids = folders.ids()
        return [model_id for model_id in ids if not model_id.startswith("labeld/")]

    said = as_nobody(listed)

    assert said.endswith("['mine', 'org/mine']\n")
    for name in ("lost+found", "other", "half"):
        assert 1 == said.count(f"the folder {name} in models_dir cannot be read"), said
    assert "Error" not in said


@needs_root
def test_thousands_of_bad_folders_write_a_handful_of_lines(open_dir: Path) -> None:
    """Some by name, then how many more there are."""
    for number in range(2000):
        (open_dir / f"bad-{number}").mkdir(mode=0o700)
    said = as_nobody(lambda: len(Folders(open_dir).ids()))

    assert NAMED == said.count(" in models_dir cannot be read, so it is left out")
    assert f"{2003 - NAMED} other folders in models_dir cannot be read either" in said


@needs_root
def test_a_models_dir_that_may_not_be_read_is_refused(open_dir: Path) -> None:
    """At start, in one sentence."""
    open_dir.chmod(0o711)

    assert as_nobody(lambda: Folders(open_dir)).startswith("SettingsError: models_dir is")


def test_links_in_a_circle_and_into_the_void_are_left_out(models_dir: Path) -> None:
    """In models_dir and in an organisation's folder."""
    for root in (models_dir, models_dir / "org"):
        (root / "circle").symlink_to("circle")
        (root / "void").symlink_to("nowhere")

    assert ["bare", "org/one", "org/same", "other/same"] == [
        model_id for model_id in Folders(models_dir).ids() if not model_id.startswith("labeld/")
    ]


def test_a_models_dir_that_goes_away_keeps_its_last_listing(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With one warning, and another when it is back; the bundled models are there all the time."""
    monkeypatch.setattr("labeld.repository.folders.LISTING_AGE", 0.0)
    folders = Folders(models_dir)
    before = folders.ids()
    models_dir.rename(models_dir.with_name("elsewhere"))
    models_dir.touch()  # a file in its place
    gone = [folders.ids() for _ in range(3)]
    models_dir.unlink()
    models_dir.with_name("elsewhere").rename(models_dir)
    (models_dir / "new").mkdir()
    (models_dir / "new/config.json").touch()

    assert [before] * 3 == gone
    assert "labeld/sentiment-en" in before
    assert sorted([*before, "new"]) == folders.ids()
    assert ["cannot be read (Not a directory)", "can be read again"] == re.findall(
        r"cannot be read \(.*?\)|can be read again", caplog.text
    )


@pytest.mark.parametrize(
    ("model_id", "expected"),
    [
        ("org/name", True),
        ("name", True),
        ("a/b", True),
        ("distilbert/distilbert-base-uncased-finetuned-sst-2-english", True),
        ("google/_x", False),
        ("org/na..me", False),
        ("org/na--me", False),
        ("org/name.", False),
        ("org/name-", False),
        ("org/name\n", False),
        ("\uff4frg/name", False),
        ("\u212a/b", False),
        ("org/" + "x" * 97, False),
        ("https://x", False),
    ],
)
def test_ids_follow_our_own_pattern(model_id: str, expected: bool) -> None:
    """Strict ASCII, without what file systems and hubs give a meaning."""
    assert expected is valid_id(model_id)
