"""Signals under load: SIGTERM and SIGHUP lose nothing, a killed worker is back at once, a stopped one is replaced.

The seeded fault closes connections as soon as a drain begins.
"""

import os
import random
import signal
import time
from collections.abc import Mapping

from benchmarks.lib.report import Figure
from reliability.lib.draining import Draining
from reliability.lib.models import tiny_models
from reliability.lib.questions import questions
from reliability.lib.run import Run
from reliability.lib.server import serving, workers
from tests.support.server_process import Server, wait_until
from tests.support.steady_clients import Seen, settled, steady_clients

FULL, CLIENTS = 200, 8
DRAIN = 5
"""Seconds of --drain-timeout."""
BAR_BACK, BAR_REPLACED = 3.0, 12.0
"""Seconds: a worker that answers no ping for 5 s is hung, and another one has to start."""
STEADY = 10.5
"""Seconds of life after which a death is no crash loop: the next worker starts at once."""
PATIENCE = 60.0


def check(run: Run) -> list[Figure]:
    """Two hundred of each signal, at random moments, while clients ask and compare every answer."""
    models = tiny_models(run.folder)
    asked = questions(models)
    flags = ("org/bert", "--models-dir", str(models), "--drain-timeout", str(DRAIN))
    return [*_terminated(run, flags, asked), *_in_one_server(run, flags, asked)]


def _terminated(run: Run, flags: tuple[str, ...], asked: Mapping[bytes, bytes]) -> list[Figure]:
    dice, rounds, codes, slowest = random.Random(1), 0, 0, 0.0
    total = {"right": 0, "wrong": 0, "lost": 0, "late": 0}
    for _ in run.rounds(FULL, least=2, part=0.4):
        rounds += 1
        with serving(run, *flags) as server, Draining(server.address[1], asked) as clients:
            wait_until(lambda clients=clients: clients.outcomes["right"] >= CLIENTS, PATIENCE)
            time.sleep(dice.random())
            clients.tell()
            told = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            codes += server.process.wait(PATIENCE) != 0
            slowest = max(slowest, time.monotonic() - told)
        for name in total:
            total[name] += clients.outcomes[name]
    detail = {"requests": total["right"], "sent after it and not answered": total["late"]}
    return [
        Figure("signals", f"SIGTERM {rounds} times: requests lost", total["lost"], "", 0, detail=detail),
        Figure("signals", "SIGTERM: wrong answers", total["wrong"], "", 0),
        Figure("signals", "SIGTERM: exit codes other than 0", codes, "", 0),
        Figure("signals", "SIGTERM: slowest end", slowest, "s", DRAIN + 2.0),
    ]


def _in_one_server(run: Run, flags: tuple[str, ...], asked: Mapping[bytes, bytes]) -> list[Figure]:
    figures = []
    with serving(run, *flags) as server, steady_clients([server.address], asked, CLIENTS) as seen:
        began = time.monotonic()
        figures += _restarted(run, server, seen)
        time.sleep(max(0.0, STEADY - (time.monotonic() - began)))
        figures += _killed(run, server, seen)
        figures += _stopped(run, server, seen)
    return [*figures, Figure("signals", "HUP, KILL and STOP: wrong answers", seen.wrong, "", 0)]


def _restarted(run: Run, server: Server, seen: Seen) -> list[Figure]:
    rounds, before = 0, _failures(seen)
    for _ in run.rounds(FULL, least=2, part=0.2):
        rounds += 1
        old = workers(server)
        server.process.send_signal(signal.SIGHUP)
        server.wait_ready()
        wait_until(lambda old=old: not set(old) & set(workers(server)), DRAIN + 5)
        settled(seen, CLIENTS, PATIENCE)
    lost = _failures(seen) - before
    detail = {"answers": seen.right, **({"as": dict(seen.failed)} if lost else {})}
    return [Figure("signals", f"SIGHUP {rounds} times: requests lost", lost, "", 0, detail=detail)]


def _killed(run: Run, server: Server, seen: Seen) -> list[Figure]:
    rounds, most, slowest = 0, 0, 0.0
    for _ in run.rounds(FULL, least=1, part=0.2):
        if rounds:
            time.sleep(STEADY)
        rounds += 1
        before = _failures(seen)
        slowest = max(slowest, _back_after(server, seen, signal.SIGKILL))
        most = max(most, _failures(seen) - before)
    return [
        Figure("signals", f"SIGKILL of the worker {rounds} times: most lost by one", most, "requests", CLIENTS),
        Figure("signals", "SIGKILL: until the next answer", slowest, "s", BAR_BACK),
    ]


def _stopped(run: Run, server: Server, seen: Seen) -> list[Figure]:
    rounds, slowest, alive = 0, 0.0, 0
    for _ in run.rounds(FULL, least=1, part=0.2):
        time.sleep(STEADY)
        rounds += 1
        old = workers(server)
        slowest = max(slowest, _back_after(server, seen, signal.SIGSTOP))
        alive += bool(set(old) & set(workers(server)))
    return [
        Figure("signals", f"SIGSTOP of the worker {rounds} times: until the next answer", slowest, "s", BAR_REPLACED),
        Figure("signals", "SIGSTOP: workers that were not replaced", alive, "", 0),
    ]


def _back_after(server: Server, seen: Seen, number: signal.Signals) -> float:
    """Seconds until the next right answer after this signal to the worker."""
    [worker] = workers(server)
    os.kill(worker, number)
    began = time.monotonic()
    time.sleep(0.1)  # answers that were on their way
    settled(seen, 1, PATIENCE)
    return time.monotonic() - began


def _failures(seen: Seen) -> int:
    return sum(seen.failed.values())
