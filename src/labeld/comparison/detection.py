"""The dialect of a peer, found by its address, by a few GETs that describe servers, or last by one text."""

from dataclasses import dataclass
from typing import Any

from labeld.comparison.dialects import DIALECTS, Asking, ClientDialect
from labeld.comparison.errors import PeerLostError, TextFailedError, WrongAddressError
from labeld.comparison.peer import HttpPeer
from labeld.types import Text


@dataclass(frozen=True, slots=True)
class FoundDialect:
    """A dialect, how it was found, and what the server says of its models."""

    dialect: ClientDialect
    how: str
    """The rest of a sentence that begins with the dialect."""
    model: str | None = None
    """The name of the only model that the server lists."""


async def find_dialect(peer: HttpPeer, model: str, text: Text) -> FoundDialect:
    """The dialect in which a peer is asked for this model.

    Raises PeerLostError where it cannot be reached, or answers in none.
    """
    for name, dialect in DIALECTS.items():
        if name != "endpoint" and peer.address.has_path_of(dialect):
            return FoundDialect(dialect, "by the path of its address")
    if peer.address.path:
        return await _by_asking(peer, model, text, ("endpoint",))
    return await _by_descriptions(peer) or await _by_asking(peer, model, text, ("hosted", "endpoint"))


async def tensors_of(peer: HttpPeer, model: str) -> tuple[str, ...]:
    """Names of a model's input tensors of strings, by the Open Inference Protocol; the usual ones if it has none."""
    described = await peer.get_json(f"/v2/models/{model}") if not peer.address.path else {}
    inputs = described.get("inputs")
    names = [
        one["name"]
        for one in (inputs if isinstance(inputs, list) else [])
        if isinstance(one, dict) and one.get("datatype") == "BYTES" and isinstance(one.get("name"), str)
    ]
    return tuple(names) or Asking("").tensors


async def _by_descriptions(peer: HttpPeer) -> FoundDialect | None:
    """By the replies of a server that describe it, from the most telling one on."""
    server = await peer.get_json("/v2")
    if server.get("name") == "labeld":
        return FoundDialect(DIALECTS["hosted"], "since GET /v2 says that it is labeld")
    if isinstance(server.get("name"), str) and "extensions" in server:
        return FoundDialect(DIALECTS["open-inference"], "by GET /v2")
    info = await peer.get_json("/info")
    if "model_id" in info and isinstance(info.get("model_type"), dict):
        return FoundDialect(DIALECTS["tei"], "by GET /info")
    for path in ("/v1/models", "/models"):
        found = _by_list(await peer.get_json(path), f"by GET {path}")
        if found is not None:
            return found
    ping = await peer.get("/ping")
    is_served = ping is not None and ping.status == 200 and ping.is_json
    return FoundDialect(DIALECTS["sagemaker"], "by GET /ping") if is_served else None


def _by_list(listed: dict[str, Any], how: str) -> FoundDialect | None:
    """By a list of models, of KServe or of OpenAI's shape, whose owner is the server."""
    names, data = listed.get("models"), listed.get("data")
    if isinstance(names, list) and all(isinstance(one, str) for one in names):
        return FoundDialect(DIALECTS["kserve"], how, _only(names))
    models = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
    owner = str(models[0].get("owned_by")) if models else ""
    if owner in {"vllm", "infinity"}:
        return FoundDialect(DIALECTS[owner], how, _only([one.get("id") for one in models]))
    return None


async def _by_asking(peer: HttpPeer, model: str, text: Text, names: tuple[str, ...]) -> FoundDialect:
    """The first of these dialects in which one text is answered."""
    asking = Asking(model)
    reason = ""
    for name in names:
        dialect = DIALECTS[name]
        try:
            await peer.ask(peer.address.url_of(dialect, model), dialect, asking, text)
        except (TextFailedError, WrongAddressError) as error:
            reason = str(error)
        else:
            return FoundDialect(dialect, "by one text")
    raise PeerLostError(
        f"{peer.name} at {peer.address.origin} answers in no dialect that was tried: {reason} Name its dialect with "
        "--dialect, or its request with --body."
    )


def _only(names: list[Any]) -> str | None:
    return names[0] if len(names) == 1 and isinstance(names[0], str) else None
