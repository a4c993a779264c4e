"""openai's client as people use it, sync or async, of the server that is given. Prints a line of JSON per question."""

import asyncio
import json
import sys
from typing import Any

import openai

kind, url = sys.argv[1:]


async def moderated_later(given: dict[str, Any], question: dict[str, Any]) -> Any:
    """The reply to the asynchronous client."""
    async with openai.AsyncOpenAI(**given) as client:
        return await client.moderations.create(**question)


def moderated(question: dict[str, Any]) -> dict[str, Any]:
    """What the typed result says, whose categories are all there, or the class and sentence of an error."""
    given = {"base_url": f"{url}/v1", "api_key": "none", "max_retries": 0}
    try:
        if kind == "async":
            reply = asyncio.run(moderated_later(given, question))
        else:
            with openai.OpenAI(**given) as client:
                reply = client.moderations.create(**question)
    except openai.APIStatusError as error:
        return {"error": type(error).__name__, "message": error.body["message"]}
    (result,) = reply.results
    for part in (result.categories, result.category_scores, result.category_applied_input_types):
        type(part).model_validate(part.model_dump(by_alias=True))  # raises where a category is not there
    return {"model": reply.model, "flagged": result.flagged, "score": result.category_scores.harassment}


for line in sys.stdin:
    print(json.dumps(moderated(json.loads(line))), flush=True)
