"""As hub_client.py, through AsyncInferenceClient with all questions at once. argv: the model's URL."""

import asyncio
import json
import sys

from huggingface_hub import AsyncInferenceClient


async def main() -> None:
    """Asks and prints in the order of the questions."""
    client = AsyncInferenceClient(model=sys.argv[1])
    asked = [json.loads(line) for line in sys.stdin]
    for ranking in await asyncio.gather(*(client.text_classification(one.pop("text"), **one) for one in asked)):
        print(json.dumps([{"label": one.label, "score": one.score} for one in ranking]))


asyncio.run(main())
