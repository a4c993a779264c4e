"""Which folder an id means."""

from pathlib import Path

import pytest

from labeld.errors import ModelNotFoundError, SettingsError
from labeld.model_id import valid_id
from labeld.repository.errors import AmbiguousModelError
from labeld.repository.folders import BUNDLED, Folders


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


def test_a_models_dir_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    """At start, by its setting's name."""
    with pytest.raises(SettingsError, match=r"^models_dir is"):
        Folders(tmp_path / "none")


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
