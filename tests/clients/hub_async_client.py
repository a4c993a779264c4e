"""As hub_client.py, through AsyncInferenceClient with all questions at once."""

import asyncio
import json
import sys
from typing import Any

from huggingface_hub import AsyncInferenceClient


async def ask(client: AsyncInferenceClient, text: Any, **options: Any) -> Any:
    """One ranking, or the error's text."""
    try:
        ranking = await client.text_classification(text, **options)
    except Exception as error:  # noqa: BLE001  # whatever the client makes of a failure is what is looked at
        return {"type": type(error).__name__, "text": str(error)}
    return [{"label": one.label, "score": one.score} for one in ranking]


async def main() -> None:
    """Asks and prints in the order of the questions."""
    client = AsyncInferenceClient(**dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True)))
    for answer in await asyncio.gather(*(ask(client, **json.loads(line)) for line in sys.stdin)):
        print(json.dumps(answer))


asyncio.run(main())
