"""The checks of a configuration file beyond its form: its settings together, and the models that it names."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

from labeld.auth.database_url import locate
from labeld.checkpoint.config import read_config
from labeld.config.labels import candidate_mistake, label_mistakes, policy_mistakes, renamed
from labeld.config.mistakes import Mistake, Place
from labeld.config.models_file import Part, PolicyModel
from labeld.config.settings import Settings
from labeld.errors import FolderError, LabeldError, SettingsError
from labeld.interface import Interface
from labeld.repository.resolver import ResolvedModel
from labeld.service.aliases import as_candidate
from labeld.service.build import load_options, open_resolver
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


def _models(settings: Settings, mistakes: list[Mistake]) -> Iterator[str]:
    """A note for each alias whose labels are not known here; adds a mistake for each model that is wrong."""
    file = settings.file
    with closing(open_resolver(settings, settings.hub_policy())) as resolver:
        for path, name in _named(settings):
            try:
                resolver.find(name)
            except LabeldError as error:
                sentence = error.sentence(Interface.COMMAND_LINE).rstrip(".")
                mistakes.append(
                    _mistake(settings, path, f"{'.'.join(path)} is {name}, which cannot be used: {sentence}.")
                )
        for alias in file.models:
            with suppress(LabeldError):  # it was named above
                yield from _of_labels(settings, resolver.find(alias), mistakes)
            for kind, other in file.models[alias].candidates.items():
                with suppress(LabeldError):  # as above
                    _of_candidate(settings, kind, resolver.find(alias), resolver.find(other.model), mistakes)
        for policy, said in file.policies.items():
            for model, part in said.models.items():
                with suppress(LabeldError):  # as above
                    found, path = resolver.find(model), ("policies", policy, "models", model)
                    yield from _of_policy(settings, found, path, part, mistakes)


def _named(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each model that the file names, with the path of its value."""
    file = settings.file
    roles = (("reranker", settings.roles.reranker), ("zero_shot", settings.roles.zero_shot))
    yield from (((role,), name) for role, name in roles if name is not None)
    yield from ((("settings", "models"), name) for name in settings.folders.models)
    yield from ((("settings", "pin"), name) for name in settings.residency.pin if name not in file.models)
    for alias, entry in file.models.items():
        yield ("models", alias, "model"), entry.model
        for part, other in entry.candidates.items():
            yield ("models", alias, part, "model"), other.model
    for policy, said in file.policies.items():
        yield from ((("policies", policy, "models", name), name) for name in said.models)


def _of_labels(settings: Settings, found: ResolvedModel, mistakes: list[Mistake]) -> Iterator[str]:
    """A note where the labels of an alias's model are not known; adds a mistake for each label that is wrong."""
    entry = found.alias
    assert entry is not None
    path = "models", entry.alias
    if found.location is None:
        where = settings.file.where(*path, "model")
        yield f"{where}: {entry.model} is not here yet, so what {entry.alias} says of its labels is not checked."
        return
    try:
        labels = read_config(found.location.folder).labels
    except FolderError as error:
        sentence = f"{'.'.join((*path, 'model'))} is {entry.model}, which cannot be served: {error}"
        mistakes.append(_mistake(settings, (*path, "model"), sentence))
        return
    mistakes += [_mistake(settings, (*path, *tail), sentence) for tail, sentence in label_mistakes(entry, labels)]


def _of_candidate(
    settings: Settings, part: Part, live: ResolvedModel, found: ResolvedModel, mistakes: list[Mistake]
) -> None:
    """Adds a mistake where a second model's answers have other labels than the alias's, and those of both are here."""
    candidate = as_candidate(live, found)
    if live.location is None or found.location is None:
        return
    assert live.alias is not None
    assert candidate.alias is not None
    labels, its_labels = (read_config(one.folder).labels for one in (live.location, found.location))
    if sentence := candidate_mistake(live.alias, labels, candidate.alias, its_labels):
        mistakes.append(_mistake(settings, ("models", live.alias.alias, part, "model"), sentence))


def _of_policy(
    settings: Settings, found: ResolvedModel, path: tuple[str, ...], said: PolicyModel, mistakes: list[Mistake]
) -> Iterator[str]:
    """A note where the labels of a policy's model are not known; adds a mistake for each label that is wrong."""
    model = path[-1]
    if found.location is None:
        yield f"{settings.file.where(*path)}: {model} is not here yet, so what {path[1]} says of it is not checked."
        return
    try:
        labels = read_config(found.location.folder).labels
    except FolderError as error:
        mistakes.append(_mistake(settings, path, f"{'.'.join(path)} cannot be served: {error}"))
        return
    if found.alias is not None:
        labels = renamed(found.alias, labels)
    mistakes += [
        _mistake(settings, (*path, *tail), sentence) for tail, sentence in policy_mistakes(model, said, labels)
    ]


def _mistake(settings: Settings, path: tuple[str, ...], sentence: str) -> Mistake:
    places = settings.file.places
    return Mistake(places.get(path) or places.get(path[-1:], Place(1, 1)), ".".join(path), sentence)
