"""The arguments of an application, checked before anything of it starts. Knows nothing of Ray."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from labeld.auth.database_url import locate
from labeld.auth.secret import open_secret
from labeld.auth.tokens_in_use import any_made
from labeld.config.fields import validate
from labeld.config.load import given_by_environment, load, secret_variables
from labeld.config.names import every_setting, variable
from labeld.config.ray import Replicas
from labeld.config.settings import Settings
from labeld.errors import FolderError, LabeldError, SettingsError
from labeld.lifecycle.model import check_without_weights
from labeld.service.build import load_options, open_resolver, require_redis
from labeld.web.security.csrf import Origins

SERVES = {
    "host": "http_options",
    "port": "http_options",
    "uds": "http_options",
    "workers": "num_replicas",
    "drain_timeout": "graceful_shutdown_timeout_s",
    "drain_delay": "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S",
}
"""Settings whose business is Serve's, and what says it there."""
EVERYWHERE = "0.0.0.0"  # noqa: S104  # NOTE: nobody listens on it: it says who reaches a replica, and that is everybody


@dataclass(frozen=True, slots=True)
class Arguments:
    """What an application was asked for."""

    replicas: Replicas
    given: dict[str, Any]
    """The settings of each replica but for the secrets, which it finds in its own environment."""

    def settings(self, **more: Any) -> Settings:
        """The settings, these among them. Raises SettingsError naming what is wrong."""
        return load({**self.given, **more, "host": EVERYWHERE}, secret_variables(), name_of=str)


def parse(arguments: Mapping[str, Any]) -> Arguments:
    """The arguments of `serve run` or of a serve config. Raises SettingsError naming the first that is impossible."""
    options = {one.name: one for one in fields(Replicas)}
    settings = {one.name: one for _, one, _ in every_setting()}
    for name in arguments:
        if name in SERVES:
            raise SettingsError(f"{name} is no argument on Ray Serve: it is {SERVES[name]} there.")
        if name in settings and settings[name].metadata["secret"]:
            raise SettingsError(
                f"{name} is a secret, which Ray would show: set {variable(name)} in the environment of each node."
            )
        if name not in settings and name not in options:
            near = difflib.get_close_matches(name, [*settings, *options], 1)
            raise SettingsError(f"{name} is no argument of labeld" + (f": is it {near[0]}?" if near else "."))
    hints = get_type_hints(Replicas)
    values = {
        name: validate(options[name], name, value, hints[name])
        for name, value in arguments.items()
        if name in options and value is not None
    }
    replicas = Replicas(**values)
    if replicas.max_replicas is None and "min_replicas" in values:
        raise SettingsError("min_replicas is given without max_replicas: give both, or num_replicas.")
    if replicas.max_replicas is not None:
        if "num_replicas" in values:
            raise SettingsError("num_replicas and max_replicas are given: give one of them.")
        if replicas.max_replicas < replicas.min_replicas:
            raise SettingsError(
                f"max_replicas is {replicas.max_replicas}, but must be at least min_replicas, {replicas.min_replicas}."
            )
    asked = {name: value for name, value in arguments.items() if name in settings and value is not None}
    return Arguments(replicas, {**given_by_environment(SERVES), **asked})


def check(arguments: Arguments) -> None:
    """Raises SettingsError when a replica could not start: a setting, the access tokens, or a model.

    Models are looked for where this runs, if it has the folder of models; a node without it says so itself.
    """
    settings = arguments.settings()
    _check_access(settings)
    Origins(settings)
    load_options(settings)
    if settings.answers.cache is not None:
        require_redis()
        from labeld.cache.redis_link import RedisLink  # noqa: PLC0415  # redis is an extra

        RedisLink(settings.answers.cache, "")
    folder = settings.folders.models_dir
    if folder is not None and not folder.expanduser().exists():
        return
    resolver = open_resolver(settings, settings.hub_policy())
    named = [("models", name) for name in settings.folders.models]
    for setting, name in (*named, *(("pin", name) for name in settings.residency.pin)):
        try:
            location = resolver.find(name).location
            if location is not None:
                check_without_weights(location.folder)
        except FolderError as error:
            raise SettingsError(f"{setting} has {name}, which cannot be served: {error}") from None
        except LabeldError as error:
            raise SettingsError(f"{setting} has {name}, which cannot be found: {error}") from None


def _check_access(settings: Settings) -> None:
    """Who may ask: replicas on different nodes share access tokens only in PostgreSQL."""
    access, is_open = settings.access, settings.listen.allow_anonymous
    if access.tokens_db is None:
        if not is_open:
            raise SettingsError(
                "Others reach an application of Ray Serve: give tokens_db=postgresql://user@host/database, where all "
                "replicas find the access tokens, or allow_anonymous=true."
            )
        return
    location = locate(access.tokens_db)
    if location.path is not None:
        raise SettingsError(
            "tokens_db is a file, but the replicas of several nodes find access tokens only in a database that they "
            "share: give tokens_db=postgresql://user@host/database."
        )
    open_secret(location, access.tokens_secret)
    if not is_open and not any_made(access.tokens_db, access.tokens_secret):
        raise SettingsError(
            "There is no access token yet, so nobody could ask: make one with `labeld tokens create NAME --tokens-db "
            "postgresql://…`, or give allow_anonymous=true."
        )
