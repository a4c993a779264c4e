"""What settings and the configuration file say of models, compared with the models that are on this machine."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from labeld.checkpoint.config import ModelConfig, read_config
from labeld.config.labels import candidate_mistake, label_mistakes, policy_mistakes, renamed
from labeld.config.mistakes import Place
from labeld.config.models_file import ModelEntry, Part, PolicyModel
from labeld.config.settings import Settings
from labeld.errors import FolderError, LabeldError
from labeld.interface import Interface
from labeld.repository.resolver import ResolvedModel, Resolver
from labeld.service.aliases import as_candidate
from labeld.tokenization.loader import stated_length

logger = logging.getLogger(__name__)

SAID_OTHERWISE = {("settings", "models"), ("settings", "pin")}
"""Paths of settings whose models no server starts without: then that is what it says."""


class Wrong(NamedTuple):
    """A value that cannot be used."""

    path: tuple[str, ...]
    """The names on the way to it."""
    sentence: str


class ModelCheck:
    """Compares; `mistakes` is what it has found, and `notes` are sentences on what cannot be known here."""

    def __init__(self, settings: Settings, resolver: Resolver) -> None:
        self._settings, self._file, self._resolver = settings, settings.file, resolver
        self.mistakes: list[Wrong] = []
        self.notes: list[str] = []
        for path, name in _named(settings):
            try:
                resolver.find(name)
            except LabeldError as error:
                reason = error.sentence(Interface.COMMAND_LINE).rstrip(".")
                self._add(path, f"{'.'.join(path)} is {name}, which cannot be used: {reason}.")
        for alias, entry in self._file.models.items():
            with suppress(LabeldError):  # it was named above
                self._of_alias(entry, resolver.find(alias))
            for kind, other in entry.candidates.items():
                with suppress(LabeldError):  # as above
                    self._of_candidate(kind, resolver.find(alias), resolver.find(other.model))
        for policy, said in self._file.policies.items():
            for model, part in said.models.items():
                with suppress(LabeldError):  # as above
                    self._of_policy(("policies", policy, "models", model), part, resolver.find(model))

    def place(self, path: tuple[str, ...]) -> Place | None:
        """The position of a value in the file; None where it is none of the file's."""
        places = self._file.places
        return places.get(path) or places.get(("settings", *path))

    def _add(self, path: tuple[str, ...], sentence: str) -> None:
        self.mistakes.append(Wrong(path, sentence))

    def _of_alias(self, entry: ModelEntry, found: ResolvedModel) -> None:
        """Labels that the model does not have, and windows that it cannot be read in."""
        path = "models", entry.alias
        if found.location is None:
            where = self._file.where(*path, "model")
            self.notes.append(
                f"{where}: {entry.model} is not here yet, so what {entry.alias} says of its labels is not checked."
            )
            return
        folder = found.location.folder
        config = self._config(folder, (*path, "model"), f"is {entry.model}, which cannot be served")
        if config is None:
            return
        for tail, sentence in label_mistakes(entry, config.labels):
            self._add((*path, *tail), sentence)
        stride, limit = entry.windows.stride, self._longest_window(entry, folder, config)
        if stride is not None and stride >= limit:
            its = (*path, "windows", "stride")
            self._add(
                its,
                f"{'.'.join(its)} is {stride}, but {entry.model} reads at most {limit} tokens: give fewer, such as "
                f"{limit // 4}.",
            )

    def _of_candidate(self, part: Part, live: ResolvedModel, found: ResolvedModel) -> None:
        """A second model whose answers have other labels than the alias's, where those of both are here."""
        candidate = as_candidate(live, found)
        if live.location is None or found.location is None:
            return
        assert live.alias is not None
        assert candidate.alias is not None
        labels, its_labels = (read_config(one.folder).labels for one in (live.location, found.location))
        if sentence := candidate_mistake(live.alias, labels, candidate.alias, its_labels):
            self._add(("models", live.alias.alias, part, "model"), sentence)

    def _of_policy(self, path: tuple[str, ...], said: PolicyModel, found: ResolvedModel) -> None:
        """Labels that the answers of a policy's model do not have."""
        _, policy, _, model = path
        if found.location is None:
            where = self._file.where(*path)
            self.notes.append(f"{where}: {model} is not here yet, so what {policy} says of it is not checked.")
            return
        config = self._config(found.location.folder, path, "cannot be served")
        if config is None:
            return
        labels = config.labels if found.alias is None else renamed(found.alias, config.labels)
        for tail, sentence in policy_mistakes(model, said, labels):
            self._add((*path, *tail), sentence)

    def _config(self, folder: Path, path: tuple[str, ...], what: str) -> ModelConfig | None:
        """The config of a model; adds a mistake where it cannot be read."""
        try:
            return read_config(folder)
        except FolderError as error:
            self._add(path, f"{'.'.join(path)} {what}: {error}")
            return None

    def _longest_window(self, entry: ModelEntry, folder: Path, config: ModelConfig) -> int:
        """Tokens of a window, at most, as far as small files say it: special tokens and weights are not read here."""
        stated = entry.windows.max_length or stated_length(folder)
        limits = (stated, config.positions, self._settings.inputs.max_tokens_per_text)
        return min(one for one in limits if one is not None)


def _named(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each model that the settings and the file name, with the path of its value."""
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


def warn_of_mistakes(settings: Settings, resolver: Resolver) -> None:
    """Logs a warning for each mistake that `labeld config check` finds in what the settings say of models."""
    check = ModelCheck(settings, resolver)
    for path, sentence in check.mistakes:
        if path in SAID_OTHERWISE:
            continue
        place = check.place(path)
        where = "" if place is None else f"{settings.file.path}:{place.line}:{place.column}: "
        logger.warning("%s%s", where, sentence)
