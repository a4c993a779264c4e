"""As hub_client.py, through AsyncInferenceClient with all questions at once."""

import asyncio
import json
import sys
from typing import Any

from huggingface_hub import AsyncInferenceClient

ARGUMENTS = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
CLIENTS: dict[str, AsyncInferenceClient] = {}
"""By their arguments: the questions of one are asked at once."""


async def ask(text: Any, *, client: dict[str, str] = ARGUMENTS, **options: Any) -> Any:
    """One ranking, or the error's text."""
    try:
        ranking = await CLIENTS[json.dumps(client)].text_classification(text, **options)
    except Exception as error:  # noqa: BLE001  # whatever the client makes of a failure is what is looked at
        return {"type": type(error).__name__, "text": str(error)}
    return [{"label": one.label, "score": one.score} for one in ranking]


async def main() -> None:
    """Asks and prints in the order of the questions."""
    questions = [json.loads(line) for line in sys.stdin]
    for one in questions:
        arguments = one.get("client", ARGUMENTS)
        CLIENTS.setdefault(json.dumps(arguments), AsyncInferenceClient(**arguments))
    for answer in await asyncio.gather(*(ask(**one) for one in questions)):
        print(json.dumps(answer))


asyncio.run(main())
