"""The Hub's look-ups that clients send before they classify, for clients whose HF_ENDPOINT is labeld; and OpenAI's.

The shapes are the Hub's (contract sections 1.1, 1.4, 8, 9.2). What this server does not know (downloads, likes, cards)
it does not say. All of it is answered without an access token, as clients ask without one; only `whoami` needs one.
"""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from starlette.datastructures import QueryParams
from starlette.requests import Request

from labeld.auth.errors import AnonymousError
from labeld.auth.records import Role
from labeld.errors import InvalidRequestError, LabeldError, ModelNotFoundError
from labeld.protocol.dialects.errors import tasks_of
from labeld.repository.errors import NotDownloadedError, RepositoryNotFoundError
from labeld.repository.model_info import ModelInfo
from labeld.service.service import Service
from labeld.web.request_state import state_of
from labeld.web.security.authorization import INFERENCE, PUBLIC, RoutePolicy, bearer_token

TASK, ZERO_SHOT = "text-classification", "zero-shot-classification"
PROVIDER = "hf-inference"
FRAMEWORK = "transformers"
PAGE = 1000
"""Models of a page, at most; the Hub's own limit."""
BY_TIME = ("lastModified", "last_modified", "createdAt", "created_at")
OTHER_ORDERS = ("trendingScore", "trending_score", "trending", "likes", "downloads")
"""Orders that are accepted and have no meaning here: the models are then sorted by id."""
MAPPING = "inferenceProviderMapping"
HUB_ROLES: dict[Role, str] = {"inference": "read", "admin": "write"}
"""The Hub's names of the roles (contract section 9.2)."""

Body = dict[str, Any] | list[Any]
Reply = tuple[Body, dict[str, str]]
"""The JSON of the reply, and header fields beside the usual ones."""
LookUp = Callable[[Service, Request], Awaitable[Reply]]


async def models(service: Service, request: Request) -> Reply:
    """`/api/models`: the models on this machine that the query asks for, page by page."""
    query = request.query_params
    limit, start = _number(query, "limit", PAGE), _number(query, "cursor", 0)
    found = [one for one in await service.listing.everything() if _wanted(one, query, live=_live(service, one))]
    sort = query.get("sort")
    if sort in BY_TIME:
        found.sort(key=lambda one: -(one.last_modified or 0.0))
    elif sort is not None and sort not in OTHER_ORDERS:
        raise InvalidRequestError(f"sort is {sort!r}, but must be one of {', '.join((*BY_TIME, *OTHER_ORDERS))}.")
    end = start + min(limit, PAGE)
    describe = _describer(service)
    page = [_chosen(describe(one), query) for one in found[start:end]]
    following = request.url.include_query_params(cursor=end)
    if request.headers.get("x-forwarded-proto") == "https":  # NOTE: clients need the whole address, as they see it
        following = following.replace(scheme="https")
    return page, {"link": f'<{following}>; rel="next"'} if end < len(found) and limit else {}


async def model(service: Service, request: Request) -> Reply:
    """`/api/models/{id}`: one model, also one that is only on the Hub if it may be downloaded from there."""
    try:
        info = await service.listing.one(service.resolve(request.path_params["model_id"]))
    except (ModelNotFoundError, NotDownloadedError) as error:
        raise RepositoryNotFoundError(error) from None
    return _chosen(_describer(service)(info), request.query_params), {}


async def tasks(service: Service, _: Request) -> Reply:
    """`/api/tasks`: each task with the model that clients take where none is named."""
    named = {TASK: ("Text Classification", service.default_model, "The default model of this server.")}
    if zero_shot := _zero_shot(service):
        named[ZERO_SHOT] = ("Zero-Shot Classification", zero_shot, "The model of the setting zero_shot.")
    return {
        task: {
            "id": task,
            "label": label,
            "libraries": [FRAMEWORK],
            "models": [{"id": model_id, "description": description}],
            "widgetModels": [model_id],
        }
        for task, (label, model_id, description) in named.items()
    }, {}


async def status(service: Service, request: Request) -> Reply:
    """`/status/{id}`: whether a model is loaded, in the words of contract section 8; one that loads is not yet."""
    model = service.resolve(request.path_params["model_id"])
    await service.listing.one(model)  # raises where there is no such model
    state = service.state(model)
    error = {"error": state.error} if state.state == "error" else {}
    shown = "Loadable" if state.state == "Loading" else state.state
    loaded = state.state == "Loaded"
    return {"loaded": loaded, "state": shown, "compute_type": "cpu", "framework": FRAMEWORK, **error}, {}


async def framework(service: Service, request: Request) -> Reply:
    """`/framework/{framework}`: the models on this machine that answer with it, loaded or by their first request."""
    if request.path_params["framework"] != FRAMEWORK:
        return [], {}
    found = await _live_models(service)
    zero_shot, common = _zero_shot(service), {"framework": FRAMEWORK, "compute_type": "cpu"}
    return [{"model_id": one.model_id, "task": _task(one, zero_shot), **common} for one in found], {}


async def whoami(_: Service, request: Request) -> Reply:
    """`/api/whoami-v2`: the caller's access token; on an open server all who send any token are one user."""
    access_token = state_of(request).access_token
    if access_token is None:
        if bearer_token(request.headers.get("authorization")) is None:
            raise AnonymousError
        token: dict[str, Any] = {"displayName": "any", "role": "read"}
        user = {"type": "user", "id": "anonymous", "name": "anonymous", "fullname": "Anonymous", "isPro": False}
    else:
        token = {
            "displayName": access_token.name,
            "role": HUB_ROLES[access_token.role],
            "createdAt": _time(access_token.created),
            "expiresAt": access_token.expires and _time(access_token.expires),
            "models": list(access_token.models),
            "requestsPerMinute": access_token.per_minute,
        }
        user = {
            "type": "user",
            "id": access_token.token_id,
            "name": access_token.name,
            "fullname": access_token.name,
            "isPro": False,
        }
    return {**user, "canPay": False, "orgs": [], "auth": {"type": "access_token", "accessToken": token}}, {}


async def openai_models(service: Service, _: Request) -> Reply:
    """`/v1/models`: the models on this machine that a request is likely to be answered by, as OpenAI lists its own."""
    return {"object": "list", "data": [_openai_model(one) for one in await _live_models(service)]}, {}


async def openai_model(service: Service, request: Request) -> Reply:
    """`/v1/models/{id}`: one of these, and whether it is ready, which KServe's clients ask here."""
    found = service.resolve(request.path_params["model_id"])
    info, ready = await service.listing.one(found), service.state(found).state == "Loaded"
    return {**_openai_model(info), "name": info.model_id, "ready": ready}, {}


def _openai_model(info: ModelInfo) -> dict[str, Any]:
    owner = info.model_id.partition("/")[0]
    return {"id": info.model_id, "object": "model", "created": int(info.last_modified or 0), "owned_by": owner}


class LookUpRoute(NamedTuple):
    """A look-up with its path; each is a GET."""

    path: str
    answer: LookUp
    policy: RoutePolicy = PUBLIC


LOOK_UPS = (
    LookUpRoute("/api/models", models),
    LookUpRoute("/api/models/{model_id:path}", model),
    LookUpRoute("/api/tasks", tasks),
    LookUpRoute("/api/whoami-v2", whoami, INFERENCE),
    LookUpRoute("/status/{model_id:path}", status),
    LookUpRoute("/framework/{framework}", framework),
    LookUpRoute("/v1/models", openai_models),
    LookUpRoute("/v1/models/{model_id:path}", openai_model),
)


async def _live_models(service: Service) -> list[ModelInfo]:
    return [one for one in await service.listing.everything() if _live(service, one)]


def _live(service: Service, info: ModelInfo) -> bool:
    """True when a request for this model is likely to be answered."""
    return info.is_classifier and service.failure(info.model_id) is None


def _revisions(service: Service) -> dict[str, str]:
    """Revision of each loaded model; those of other folders are unknown without hashing them."""
    return {one.model_id: one.model.model.revision for one in service.loaded_models()}


def _zero_shot(service: Service) -> str | None:
    """The id of the model of the setting `zero_shot`; None without one, or where there is no such model."""
    name = service.model_of("zero_shot")
    with suppress(LabeldError):
        return name and service.resolve(name).public_id
    return None


def _tasks(info: ModelInfo) -> list[str]:
    """The tasks of a model, by its labels where they are known, else by what the Hub says."""
    if info.labels or not info.is_classifier:
        return tasks_of(info.labels) if info.is_classifier else []
    return [TASK, ZERO_SHOT] if info.task == ZERO_SHOT else [TASK]


def _task(info: ModelInfo, zero_shot: str | None) -> str:
    """The one task of a model by which clients choose what they may ask it for.

    NOTE: @huggingface/inference and huggingface_hub compare it with the task of the call, and take no second one: a
    model of both has that of its card, as on the Hub, unless it is the one of the setting `zero_shot`. No client has a
    call for text-ranking, so rerankers stay with that which they had before they were any.
    """
    asked_for = ZERO_SHOT in (info.task, ZERO_SHOT if info.model_id == zero_shot else None)
    return ZERO_SHOT if asked_for and ZERO_SHOT in _tasks(info) else TASK


def _describer(service: Service) -> Callable[[ModelInfo], dict[str, Any]]:
    """Describes models as the JSON of the Hub, with what the service knows of them now."""
    revisions, zero_shot = _revisions(service), _zero_shot(service)
    return lambda info: _described(info, revisions, _task(info, zero_shot), live=_live(service, info))


def _described(info: ModelInfo, revisions: dict[str, str], task: str, *, live: bool) -> dict[str, Any]:
    """A model as the JSON of the Hub."""
    model_id = info.model_id
    mapping = {"providerId": model_id, "status": "live" if live else "error", "task": task}
    described = {
        "id": model_id,
        "modelId": model_id,
        "author": model_id.partition("/")[0] if "/" in model_id else None,
        "sha": revisions.get(model_id, info.commit),
        "lastModified": info.last_modified and _time(info.last_modified),
        "private": False,
        "gated": False,
        "disabled": False,
        "library_name": FRAMEWORK,
        "pipeline_tag": task if info.is_classifier else None,
        "tags": _tags(info),
        "inference": "warm" if live else None,
        MAPPING: {PROVIDER: mapping} if info.is_classifier else {},
    }
    return {name: value for name, value in described.items() if value is not None}


def _chosen(described: dict[str, Any], query: QueryParams) -> dict[str, Any]:
    """The id and what `expand` or `expand[]` names; without either all but the mapping, as on the Hub."""
    asked = {*query.getlist("expand"), *query.getlist("expand[]")}
    wanted = asked | {"id"} if asked else described.keys() - {MAPPING}
    return {name: value for name, value in described.items() if name in wanted}


def _tags(info: ModelInfo) -> list[str]:
    return [FRAMEWORK, *([info.config.model_type] if info.config else []), *_tasks(info)]


def _wanted(info: ModelInfo, query: QueryParams, *, live: bool) -> bool:
    """True when a model passes every filter of the query; unknown filters let everything through."""
    tasks = query.getlist("pipeline_tag")
    providers = {name for value in query.getlist("inference_provider") for name in value.split(",")}
    return (
        query.get("search", "").lower() in info.model_id.lower()
        and {tag for value in query.getlist("filter") for tag in value.split(",") if tag} <= {*_tags(info)}
        and ("author" not in query or info.model_id.startswith(f"{query['author']}/"))
        and (not tasks or bool({*tasks} & {*_tasks(info)}))
        and ("inference" not in query or (query["inference"] == "warm" and live))
        and (not providers or (bool(providers & {PROVIDER, "all"}) and live))
        and query.get("gated") != "true"
    )


def _number(query: QueryParams, name: str, default: int) -> int:
    value = query.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise InvalidRequestError(f"{name} is {value[:20]!r}, but must be a whole number.")
    return int(value)


def _time(seconds: float) -> str:
    """A time in the format of the Hub."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
