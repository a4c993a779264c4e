"""`labeld models`: list, check and verify models, and download and remove those of the Hub."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labeld.cli.options import with_settings
from labeld.config import settings
from labeld.config.hub import Hub
from labeld.config.load import load
from labeld.errors import InvalidRequestError, LabeldError, ModelNotFoundError, format_bytes
from labeld.model_id import valid_id
from labeld.repository.folders import BUNDLED, Folders

if TYPE_CHECKING:
    from labeld.repository.resolver import Progress
    from labeld.repository.store import Store

models = typer.Typer(help="See, check, download and remove models.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


@models.command()
@with_settings(settings.Folders, Hub)
def pull(
    model: Annotated[str, typer.Argument(help="Id, or id@revision: a branch, a tag or a commit.")],
    *,
    as_json: AsJson = False,
    **flags: Any,
) -> None:
    """Download a model into the store, or update it; an interrupted download is resumed."""
    from labeld.service.build import open_resolver  # noqa: PLC0415  # loads the engine

    resolver = open_resolver(load(flags), "any")
    with _bar(model, shown=not as_json) as progress:
        location = resolver.pull(model, progress)
    resolver.close()
    payload = {"model_id": model.partition("@")[0], "revision": location.commit, "folder": str(location.folder)}
    typer.echo(json.dumps(payload) if as_json else f"{model} is in the store, at {location.commit}.")


@models.command()
@with_settings(settings.Folders, Hub, settings.Compute, settings.Precisions)
def check(
    model: Annotated[str, typer.Argument(metavar="DIR_OR_ID", help="A model's folder, or its id.")],
    *,
    as_json: AsJson = False,
    **flags: Any,
) -> None:
    """Load a model in each precision; show its metadata, speed, size, and the accuracy loss of the faster ones.

    An id that is in no folder is downloaded, as by `pull`. The choice is kept: with precision auto a server then
    starts without a trial of its own.
    """
    from labeld.cli.check import check_model  # noqa: PLC0415
    from labeld.repository.resolver import ModelLocation  # noqa: PLC0415  # loads the engine, as do these
    from labeld.service.build import open_resolver  # noqa: PLC0415

    chosen = load(flags)
    if os.path.lexists(Path(model) / "config.json"):  # False, too, for what can be no name
        check_model(model, ModelLocation(Path(model), None), chosen, as_json=as_json)
        return
    with closing(open_resolver(chosen, "any")) as resolver:
        found = resolver.find(model)
        with _bar(found.model_id, shown=not as_json) as progress:
            location = resolver.open(found, progress)
        check_model(found.model_id, location, chosen, as_json=as_json)


@models.command()
@with_settings(settings.Folders, Hub, settings.Compute)
def verify(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Models; none = all with known answers.")
    ] = None,
    *,
    answers: Annotated[
        Path | None, typer.Option(help="JSON file of known answers.", show_default="those of docs/guides/models.md")
    ] = None,
    with_folders: Annotated[
        bool,
        typer.Option("--all", help="Also the models of this machine with a reference_scores.json in their folder."),
    ] = False,
    as_json: AsJson = False,
    **flags: Any,
) -> None:
    """Compare published answers with those of the real checkpoints, which are downloaded if they are not here.

    Ends with 0 only if every score was compared and passed, with 1 if one failed, with 3 if none failed but some models
    could not be reached.
    """
    from labeld.cli.reference_scores import (  # noqa: PLC0415  # imports numpy, as no supervisor does
        SHIPPED,
        read_reference_scores,
        reference_scores_in,
    )
    from labeld.cli.verify import verify_models  # noqa: PLC0415  # loads the engine

    chosen = load(flags)
    known = read_reference_scores(answers or SHIPPED)
    if with_folders:
        known += reference_scores_in(Folders(chosen.folders.models_dir))
    raise typer.Exit(verify_models(ids or [], known, chosen, as_json=as_json))


@models.command("list")
@with_settings(settings.Folders, Hub)
def list_models(*, as_json: AsJson = False, **flags: Any) -> None:
    """List the models that are on this machine."""
    chosen = load(flags)
    store = _store(chosen)
    rows = [*_in_folders(Folders(chosen.folders.models_dir)), *_in_store(store), *_in_hf_cache(chosen, store)]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    from rich.console import Console  # noqa: PLC0415  # slow to import
    from rich.table import Table  # noqa: PLC0415

    table = Table("model", "revision", "size", "last used", "from", box=None, pad_edge=False)
    for row in rows:
        revision = " ".join([*row["revisions"], *([row["commit"][:12]] if row["commit"] else [])])
        table.add_row(row["model_id"], revision, format_bytes(row["size"]), (row["last_used"] or "")[:16], row["from"])
    console = Console()
    console.print(table, width=None if console.is_terminal else 200)


@models.command()
@with_settings(settings.Folders, Hub)
def remove(model: Annotated[str, typer.Argument(help="Id of a model in the store.")], **flags: Any) -> None:
    """Remove a model, with all its revisions, from the store."""
    chosen = load(flags)
    store = _store(chosen)
    freed = store.remove(model, threading.Event()) if valid_id(model) else 0
    if not freed:
        raise _not_in_store(model, chosen, store)
    typer.echo(f"Removed {model}, {format_bytes(freed)}.")


def _not_in_store(model: str, chosen: settings.Settings, store: "Store") -> LabeldError:
    """What to do instead with a model that the store does not have."""
    rows = [*_in_folders(Folders(chosen.folders.models_dir)), *_in_hf_cache(chosen, store)]
    places = {row["model_id"]: row["from"] for row in rows}
    if model not in places:
        return ModelNotFoundError(model)
    way_out = {
        "labeld": "is part of labeld, and only the store can be emptied",
        "models_dir": f"lies in {chosen.folders.models_dir}: remove its folder there",
        "hf-cache": f"is huggingface_hub's, in {chosen.hub.hf_cache}: remove it with `hf cache rm model/{model}`",
    }
    return InvalidRequestError(f"Model {model} is not in the store: it {way_out[places[model]]}.")


def _store(chosen: settings.Settings) -> "Store":
    from labeld.repository.store import Store  # noqa: PLC0415  # imports numpy

    return Store(chosen.store_dir, chosen.hub.store_limit)


def _in_folders(folders: Folders) -> Iterator[dict[str, Any]]:
    for model_id, folder in folders.by_id().items():
        yield _row(model_id, _size(folder), "labeld" if folder.is_relative_to(BUNDLED) else "models_dir")


def _in_store(store: "Store") -> Iterator[dict[str, Any]]:
    for one in store.list():
        used = datetime.fromtimestamp(one.last_used, UTC).isoformat(" ", "seconds")
        yield _row(one.model_id, one.size, "store") | {
            "revisions": list(one.revisions),
            "commit": one.commit,
            "last_used": used,
        }


def _in_hf_cache(chosen: settings.Settings, store: "Store") -> Iterator[dict[str, Any]]:
    from labeld.repository.hf_cache import HfCache  # noqa: PLC0415  # imports numpy
    from labeld.repository.hub_client import DEFAULT_REVISION  # noqa: PLC0415

    for model_id, folder in HfCache(chosen.hub.hf_cache, store.verifier).classifiers(DEFAULT_REVISION):
        yield _row(model_id, _size(folder), "hf-cache") | {"revisions": [DEFAULT_REVISION], "commit": folder.name}


def _size(folder: Path) -> int:
    """Bytes of a folder's files; 0 where it cannot be read."""
    with suppress(OSError):
        return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return 0


def _row(model_id: str, size: int, source: str) -> dict[str, Any]:
    return {
        "model_id": model_id,
        "revisions": [],
        "commit": None,
        "size": size,
        "last_used": None,
        "from": source,
    }


@contextmanager
def _bar(model: str, *, shown: bool) -> "Iterator[Progress]":
    """A bar on stderr, if that is a terminal."""
    from rich import progress  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.DownloadColumn())
    more = (progress.TransferSpeedColumn(), progress.TimeRemainingColumn())
    console = Console(stderr=True)
    with progress.Progress(*columns, *more, console=console, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task(model, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
