"""Authorization: what an access token adds to a request, in microseconds of processor time, in this process."""

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.lib.report import Figure, Plan, summary
from labeld.auth.authenticator import Authenticator
from labeld.auth.database_url import locate

BAR_MICROSECONDS = 10.0
TOKENS = 1000


def measure(plan: Plan) -> list[Figure]:
    """The median of rounds; each looks up many access tokens, applies their limits and records their use."""
    rounds = asyncio.run(_rounds(*((3, 10) if plan.quick else (9, 100))))
    detail = {"rounds": summary(rounds), "tokens": TOKENS}
    name = "processor time per request with an access token"
    return [Figure("authorization", name, median(rounds), "µs", BAR_MICROSECONDS, detail=detail)]


async def _rounds(count: int, times: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        authenticator = Authenticator(locate(str(Path(folder, "tokens.sqlite3"))), None)
        await authenticator.open()
        made = [await authenticator.create(f"token {number}", per_minute=1_000_000) for number in range(TOKENS)]
        secrets = [secret for _, secret in made]
        rounds = []
        for _ in range(count):
            began = time.process_time()
            for _ in range(times):
                for secret in secrets:
                    token = authenticator.find(secret)
                    await authenticator.admit(token)
                    authenticator.used(token)
            rounds.append((time.process_time() - began) / (times * TOKENS) * 1e6)
        await authenticator.close()
    return rounds
