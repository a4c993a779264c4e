"""Requests that a policy answers: every model of it reads every text to its end, side by side, and all must answer."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from labeld.config.labels import policy_mistakes
from labeld.config.models_file import ModelsFile, PolicyModel, Windows
from labeld.errors import InvalidRequestError, LabeldError
from labeld.lifecycle.loader import LoadedModel
from labeld.protocol.dialects.base import ALL_SCORES, Dialect
from labeld.protocol.dialects.guard import Check
from labeld.protocol.response import encode_json, encode_reply, merged
from labeld.protocol.verdict import Rules, rules, verdict
from labeld.repository.errors import AmbiguousModelError
from labeld.repository.resolver import ResolvedModel
from labeld.types import ClassifyReply, ClassifyRequest, Parameters, Text
from labeld.web.errors import NoPolicyError, PolicyBrokenError
from labeld.web.inference import Inference
from labeld.web.request_state import RequestState, state_of

logger = logging.getLogger(__name__)

DEFAULT_POLICY = "default"
STRIDE = 64
"""Tokens that two windows of a text share where the alias does not say; of a short window a quarter."""


class Part(NamedTuple):
    """One model of a policy."""

    model: ResolvedModel
    said: PolicyModel


class Answers(NamedTuple):
    """What one model says of the texts of a request."""

    rules: Rules
    labels: Sequence[str]
    reply: ClassifyReply


class Guard:
    """Answers requests by policies of the configuration file."""

    def __init__(self, inference: Inference, file: ModelsFile) -> None:
        self._inference, self._file = inference, file

    def ask(self, dialect: Dialect[Check]) -> Callable[[Request], Awaitable[Response]]:
        """The handler of a dialect's route."""
        return self._inference.handler(dialect, self._answer)

    async def _answer(self, request: Request, dialect: Dialect[Check], value: Any) -> Response:
        scope, state = request.scope, state_of(request.scope)
        check = dialect.parse(self._inference.call(request, value))
        policy, models = self._policy(check)
        parts = [Part(self._inference.permitted_model(scope, name), said) for name, said in models.items()]
        state.model = policy
        state.asked = ClassifyRequest(tuple([Text(one) for one in check.texts]), options=check.options)
        answers = await self._inference.until_disconnected(self._ask_all(state, parts, check), request)
        known = {label for one in answers for label in one.labels}
        if unknown := next((label for label in check.adjusted.thresholds if label not in known), None):
            raise InvalidRequestError(
                f"`detector_params.label_thresholds` names the label {unknown[:40]!r}, which no model of {policy} has."
            )
        state.reply = reply = merged(state.asked, [one.reply for one in answers])._replace(ignored=check.ignored)
        by_model = [(one.rules, json.loads(encode_reply(one.reply))) for one in answers]
        verdicts = [
            verdict(text, [(its_rules, texts[index]) for its_rules, texts in by_model])
            for index, text in enumerate(check.texts)
        ]
        return self._inference.response(scope, reply, encode_json(check.reply(policy, verdicts)))

    def _policy(self, check: Check) -> tuple[str, Mapping[str, PolicyModel]]:
        """Name and models of the policy that a request means, or of the model that it names instead of one.

        Raises NoPolicyError where there is none, or it is not clear which.
        """
        policies, name = self._file.policies, check.name
        if name is not None and name not in policies and self._is_model(name):
            return name, {name: PolicyModel()}
        if name not in policies and (name is None or check.takes_any_name):
            name = next(iter(policies)) if len(policies) == 1 else DEFAULT_POLICY
        if name is None or name not in policies:
            raise NoPolicyError(check.name, tuple(policies))
        return name, policies[name].models

    def _is_model(self, name: str) -> bool:
        """True for an alias or a model that is here, and for any id with its organisation, which means nothing else."""
        try:
            return "/" in name or self._inference.service.resolve(name).location is not None
        except AmbiguousModelError:
            return True  # which is said where it is asked
        except LabeldError:
            return False

    async def _ask_all(self, state: RequestState, parts: Sequence[Part], check: Check) -> list[Answers]:
        """The answers of all models; raises the first failure, and then the others are given up."""
        tasks = [asyncio.ensure_future(self._ask(state, one, check)) for one in parts]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _ask(self, state: RequestState, part: Part, check: Check) -> Answers:
        model, said = part
        async with self._inference.service.lease(model, check.options) as loaded:
            labels, stride = loaded.model.config.labels, _stride(model, loaded)
        for path, sentence in policy_mistakes(model.public_id, said, labels):
            where = self._file.where("policies", str(state.model), "models", model.name, *path)
            logger.error("%s: %s", where, sentence)
            raise PolicyBrokenError(str(state.model), sentence)
        parameters = Parameters(stride=stride, aggregate="max", return_windows=True, threshold=ALL_SCORES)
        asked = ClassifyRequest(tuple([Text(one) for one in check.texts]), parameters, check.options)
        reply = await self._inference.answered(state, model, asked)
        return Answers(rules(said, check.adjusted, labels), labels, reply)


def _stride(model: ResolvedModel, loaded: LoadedModel) -> int:
    """Tokens that the windows of a text share; a quarter of a window where those of the alias would leave no room."""
    windows, encoder = model.alias.windows if model.alias else Windows(), loaded.model.encoder
    length = min(windows.max_length or encoder.cut_at or encoder.max_tokens, encoder.max_tokens)
    room = length - encoder.tokenizer.num_special_tokens_to_add(is_pair=False)
    if windows.stride is not None and windows.stride < room:
        return windows.stride
    return min(STRIDE, length // 4)
