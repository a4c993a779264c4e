"""Raw HTTP: some 240 forms of smuggling, framing, slow and half-closed connections leave nobody out of step.

The seeded fault takes a body that has both a length and chunks.
"""

import asyncio
from collections.abc import Mapping, Sequence

from benchmarks.lib.report import Figure
from reliability.lib.exchange import Outcome, exchange
from reliability.lib.form import OUTER, PROBE, SMUGGLED, Expect, Form
from reliability.lib.forms import every_form
from reliability.lib.run import Run
from reliability.lib.server import serving

FULL = 60
"""Times that each form is tried."""
AT_ONCE = 48
HEADER, BODY, KEEP_ALIVE, LINGER = 1.0, 3.0, 2.0, 2.0
"""Seconds of the server's limits; a refused connection lingers."""
SPARE = 4.0
"""Seconds by which a busy machine may be late."""
BAR_SECONDS = HEADER + BODY + KEEP_ALIVE + LINGER + SPARE
MODEL = "labeld/language-20"


def check(run: Run) -> list[Figure]:
    """Every form at least once, with the seconds that a connection has made short."""
    times = [f"--header-timeout={HEADER}", f"--body-timeout={BODY}", f"--keep-alive-timeout={KEEP_ALIVE}"]
    forms, outcomes = every_form(), list[tuple[Form, Outcome]]()
    with serving(run, MODEL, *times) as server:
        before = server.get("/status").json()["pid"]
        for _ in run.rounds(FULL):
            outcomes += asyncio.run(_try_all(server.address, forms))
        is_alive = server.get("/status").json()["pid"] == before
        log = server.log.read_text(encoding="utf-8")
    wrong = {form.name: said for form, outcome in outcomes if (said := out_of_step(form, outcome))}
    late = {form.name: outcome.seconds for form, outcome in outcomes if not _in_time(outcome)}
    broken = {form.name: outcome.rest[:60] for form, outcome in outcomes if outcome.rest}
    return [
        Figure("raw", "forms", len(forms), "", 200, "at least", {"connections": len(outcomes)}),
        Figure("raw", "forms that are desynchronised", len(wrong), "", 0, detail=_few(wrong)),
        Figure("raw", "forms whose connection did not end in its time", len(late), "", 0, detail=_few(late)),
        Figure("raw", "forms with bytes that are no reply", len(broken), "", 0, detail=_few(broken)),
        Figure("raw", "failures of our own in the log", log.count("Traceback"), "", 0),
        Figure("raw", "the same worker at the end", float(is_alive), "", 1, "at least"),
    ]


async def _try_all(address: tuple[str, int], forms: Sequence[Form]) -> list[tuple[Form, Outcome]]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(form: Form) -> tuple[Form, Outcome]:
        async with room:
            return form, await exchange(address, form)

    return await asyncio.gather(*(one(form) for form in forms))


def out_of_step(form: Form, outcome: Outcome) -> str:
    """What is wrong with the replies to a form, by what it must come to; empty where nothing is."""
    ids = [one.request_id for one in outcome.replies]
    if SMUGGLED in ids:
        return f"the hidden request was answered: {outcome.replies}"
    if PROBE in ids and ids[-1] != PROBE:
        return f"the probe was answered before others: {outcome.replies}"
    refused = [one for one in outcome.replies if one.status >= 400]
    if form.expect is Expect.REFUSED and (PROBE in ids or (len(outcome.replies) > 1 and not refused)):
        return f"what follows was read: {outcome.replies}"
    if form.expect is Expect.ANSWERED and ids != [OUTER, PROBE]:
        return f"not answered: {outcome.replies}"
    if form.expect is Expect.EITHER and not ids and not outcome.seconds:
        return "neither answered nor ended"
    return ""


def _in_time(outcome: Outcome) -> bool:
    return outcome.seconds is not None and outcome.seconds <= BAR_SECONDS


def _few(found: Mapping[str, object]) -> dict[str, object]:
    return {name: str(found[name]) for name in [*found][:3]}
