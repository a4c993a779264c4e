"""The checks of a configuration file beyond its form: its settings together, and the models that it names."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

from labeld.auth.database_url import locate
from labeld.config.mistakes import Mistake, Place
from labeld.config.settings import Settings
from labeld.errors import SettingsError
from labeld.service.build import load_options, open_resolver
from labeld.service.file_check import ModelCheck
from labeld.system.cpu import require_few
from labeld.web.paths import Paths
from labeld.web.security.csrf import Origins


def check_settings(settings: Settings) -> tuple[list[Mistake], list[str]]:
    """The mistakes of a file whose form is right, and what cannot be known here."""
    parts: tuple[Callable[[], Any], ...] = (
        settings.hub_policy,
        lambda: require_few("workers", settings.listen.workers),
        lambda: load_options(settings),
        lambda: Origins(settings),
        lambda: Paths(settings.sites),
        lambda: locate(settings.access.tokens_db),
    )
    mistakes = [_of_settings(settings, error) for part in parts if (error := _failure(part)) is not None]
    notes: list[str] = []
    if error := _failure(lambda: notes.extend(_models(settings, mistakes))):
        mistakes.append(_of_settings(settings, error))
    return sorted(mistakes), notes


def _failure(part: Callable[[], Any]) -> SettingsError | None:
    try:
        part()
    except SettingsError as error:
        return error
    return None


def _of_settings(settings: Settings, error: SettingsError) -> Mistake:
    """A mistake at the line of the setting with whose name the sentence begins, if the file has it."""
    name, places = str(error).partition(" ")[0], settings.file.places
    place = places.get(("settings", name)) or places.get((name,))
    return Mistake(place or Place(1, 1), name if place else "", str(error))


def _models(settings: Settings, mistakes: list[Mistake]) -> list[str]:
    """Notes on what cannot be known here; adds a mistake for each thing that is wrong of a model."""
    with closing(open_resolver(settings, settings.hub_policy())) as resolver:
        check = ModelCheck(settings, resolver)
    mistakes += [
        Mistake(check.place(path) or Place(1, 1), ".".join(path), sentence) for path, sentence in check.mistakes
    ]
    return check.notes
