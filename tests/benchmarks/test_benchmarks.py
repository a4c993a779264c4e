"""The parts of the benchmarks that could make a figure wrong unnoticed."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from rich.progress import Progress
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from benchmarks.comparison import plots as comparison_plots
from benchmarks.comparison.records import read
from benchmarks.lib import open_loop, plot, synthetic_models
from benchmarks.lib.client import Connection, post
from benchmarks.lib.cross_encoders import rerankers
from benchmarks.lib.report import Plan
from benchmarks.lib.rounds import in_turn
from benchmarks.lib.texts import Measured, evenly
from benchmarks.suites import guard
from benchmarks.suites import plots as suite_plots
from benchmarks.suites.peak import operations
from benchmarks.suites.stages import STAGES, TracedServer
from labeld.repository.folders import BUNDLED, DEFAULT_MODEL
from labeld.tokenization.encoder import TextEncoder
from labeld.tokenization.loader import read_tokenizer
from labeld.types import EncodedText, Parameters, Text
from labeld.web.guard import STRIDE
from tests.support.paths import ROOT
from tests.support.tiny_models import TEXTS

BODIES = [b'{"inputs": "one"}', b'{"inputs": "two"}']


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], tuple[int, dict[str, str]]]) -> Iterator[int]:
    """The port of a server whose status and headers for each request `answer` decides, in as long as it takes."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # the whole answer in one packet

        def do_POST(self) -> None:
            assert self.rfile.read(int(self.headers["content-length"])) in BODIES
            status, headers = answer(self)
            self.send_response(status)
            for name, value in {"Content-Length": "2", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_arrivals_are_at_the_rate_and_at_random() -> None:
    """A seed gives equal times again, as many as the rate says, not evenly spaced."""
    times = list(open_loop._arrivals(1000, 10, 1))
    gaps = [later - earlier for earlier, later in pairwise(times)]

    assert 9700 <= len(times) <= 10300
    assert times == list(open_loop._arrivals(1000, 10, 1)) != list(open_loop._arrivals(1000, 10, 2))
    assert sum(gap > 0.001 for gap in gaps) / len(gaps) < 0.45  # 1/e of an exponential distribution


def test_a_stall_counts_for_all_requests_due_meanwhile() -> None:
    """A server that stands still for half a second has percentiles that say so, though few requests met it."""
    asked: list[float] = []
    lock = threading.Lock()

    def stalls_once(_: BaseHTTPRequestHandler) -> tuple[int, dict[str, str]]:
        with lock:
            asked.append(time.perf_counter())
            if 0.7 <= asked[-1] - asked[0] <= 0.9:  # since the first request: the generator takes a while to start
                time.sleep(0.5)
        return 200, {}

    with answering(stalls_once) as port:
        found = open_loop.run(port, "/models/x", BODIES, 100, 2.0, connections=8)

    slow = sum(one.latency > 0.1 for one in found.accepted)
    assert found.errors == 0
    assert 20 <= slow <= 90  # about 40 were due in the first 400 ms of it, on 8 connections
    assert found.latency_ms(50) < 50
    assert 250 <= found.latency_ms(99) <= 900
    assert not found.on_time  # all connections were taken, so that requests left late
    assert "VOID" in found.detail()


def test_connections_are_opened_as_needed_and_kept() -> None:
    """A slow answer does not delay requests on other connections, and connections are used again."""
    peers = set()

    def slow(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str]]:
        peers.add(request.client_address)
        time.sleep(0.05)
        return 200, {}

    with answering(slow) as port:
        found = open_loop.run(port, "/models/x", BODIES, 100, 1.0)

    assert len(found.accepted) == len(found.answers) > 70
    assert 50 <= found.latency_ms(50) <= 500  # one after the other they would wait for seconds
    assert 2 <= len(peers) < len(found.answers) / 2


def test_refusals_are_counted_and_must_say_when() -> None:
    """A 429 or a 503 is a refusal, with or without Retry-After; anything else that is not 200 is an error."""
    numbers = iter(range(1000))
    kinds = [
        (200, {}),
        (429, {"Retry-After": "1"}),
        (503, {"retry-after": "2"}),
        (500, {"Retry-After": "1"}),
        (200, {"Connection": "close"}),
    ]

    with answering(lambda _: kinds[next(numbers) % 5]) as port:
        found = open_loop.run(port, "/models/x", BODIES, 200, 0.5)

    parts = len(found.answers) / 5
    assert abs(len(found.accepted) - 2 * parts) <= 2
    assert abs(len(found.refused) - 2 * parts) <= 2
    assert abs(found.errors - parts) <= 2
    assert found.refusals_say_when
    with answering(lambda _: (429, {})) as port:
        silent = open_loop.run(port, "/models/x", BODIES, 50, 0.2)
    assert silent.refused
    assert not silent.refusals_say_when


def test_requests_without_an_answer_are_errors() -> None:
    """A broken connection, a port without a listener and the end of patience all count."""

    def hangs_up(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str]]:
        request.close_connection = True
        raise ConnectionResetError

    def waits(_: BaseHTTPRequestHandler) -> tuple[int, dict[str, str]]:
        time.sleep(1.5)
        return 200, {}

    for patience, answer in ((5.0, hangs_up), (0.2, waits)):
        with answering(answer) as port:
            found = open_loop.run(port, "/models/x", BODIES, 50, 0.3, connections=4, patience=patience)
        assert found.errors == len(found.answers) == len(list(open_loop._arrivals(50, 0.3, open_loop.SEED)))
    nobody = open_loop.run(port, "/models/x", BODIES, 50, 0.3)
    assert nobody.errors == len(nobody.answers) > 0


def test_an_exchange_has_the_header_fields_of_the_answer() -> None:
    """By their names in small letters, on a connection that is used again."""
    windows = count(1)
    request = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(BODIES[0]), BODIES[0])

    with answering(lambda _: (200, {"X-Windows": str(next(windows))})) as port, Connection(port) as connection:
        found = [connection.exchange(request) for _ in range(2)]

    assert [(200, b"[]")] * 2 == [(status, body) for status, _, body in found]
    assert ["1", "2"] == [fields["x-windows"] for _, fields, _ in found]


@pytest.mark.parametrize("words", [1, 510, 511, 956, 957, 3000])
def test_windows_are_those_that_reach_to_the_end(words: int) -> None:
    """As many as labeld reads with the overlap of a policy, one more for one token more."""
    folder, text = BUNDLED / DEFAULT_MODEL, " ".join(["good"] * words)
    encoder = TextEncoder(read_tokenizer(folder).tokenizer, guard.TOKENS, 1 << 20)
    [read] = encoder.read([Text(text)], Parameters(stride=STRIDE, max_length=guard.TOKENS))

    assert len(read.windows) == guard._windows(folder, text)


def test_every_reranker_scores_pairs_in_their_order(models_dir: Path) -> None:
    """As transformers scores each pair by itself, however they are sorted and padded."""
    folder, pairs = models_dir / "org/one-label", [("very good", text) for text in TEXTS if text]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        expected = [network(**tokenizer(*pair, return_tensors="pt")).logits.sigmoid().item() for pair in pairs]

    assert max(expected) - min(expected) > 0.1
    for name, scores in rerankers(folder).items():
        np.testing.assert_allclose(scores(pairs), expected, rtol=0, atol=1e-5, err_msg=name)


def test_goodput_counts_what_came_in_time() -> None:
    """Answers after the deadline, or after the arrivals have ended, are not goodput."""
    answers = [
        open_loop.Answer(0.0, 0.0, 0.1, 200, retry_after=False),
        open_loop.Answer(0.0, 0.0, 0.9, 200, retry_after=False),
        open_loop.Answer(1.9, 1.9, 2.1, 200, retry_after=False),
        open_loop.Answer(0.0, 0.0, 0.1, 429, retry_after=True),
    ]
    found = open_loop.OpenLoop(2.0, 2.0, answers)

    assert found.goodput() == 1.0
    assert found.goodput(within=0.5) == 0.5


@pytest.mark.parametrize(("quick", "kept"), [(False, [[2, 4, 6], [3, 5, 7]]), (True, [[0], [1]])])
def test_cases_take_turns_and_the_round_that_prepares_shapes_is_not_counted(
    tmp_path: Path, quick: bool, kept: list[list[int]]
) -> None:
    """Two cases are measured alternately; a quick run has one round, which is all it has."""
    order = count()
    plan = Plan(None, tmp_path, quick, Progress(disable=True))
    found = in_turn(plan, "cases", {"a": lambda: next(order), "b": lambda: next(order)})

    assert {"a": kept[0], "b": kept[1]} == found


def test_plots_are_well_formed_and_name_everything() -> None:
    """Names from outside are escaped, every row has its name and value, and a point without a place is left out."""
    bars = plot.bars("Peers <A & B>", [("labeld", 1234.0, 1200.0, 1300.0), ("<$x$>", 0.0, 0.0, 0.0)], "requests/s")
    parts = plot.stacked("Stages", {"1 connection": {"run": 3.0, "queue": 1.0}, "32": {"run": 5.0}}, "ms")
    points = {"labeld": [(1.0, 10.0), (10.0, 0.0), (100.0, float("nan")), (1000.0, 30.0)], "empty": []}
    curves = plot.curves("Growth", points, "connections", "p99, ms", log="xy")

    assert {"Peers <A & B> (requests/s)", "labeld", "1,234", "<$x$>", "0"} == texts_of(bars)
    assert {"Stages (ms)", "run", "queue", "1 connection", "32", "4", "5"} == texts_of(parts)
    assert {"Growth", "labeld", "empty", "connections", "p99, ms", "1", "1,000", "10"} <= texts_of(curves)
    assert "nan" not in curves.lower()


def test_a_plot_is_drawn_the_same_way_again_and_can_be_read_in_the_dark() -> None:
    """Its bytes depend on its data only, and text, paper and lines have a colour for dark pages."""
    rows = [("labeld", 2.0, 1.0, 3.0), ("other", 1.0, 1.0, 1.0)]
    svg = plot.bars("Peers", rows, "requests/s")

    assert svg == plot.bars("Peers", rows, "requests/s")
    assert svg != plot.bars("Peers", rows[:1], "requests/s")
    dark = svg.partition("@media (prefers-color-scheme: dark)")[2].partition("</style>")[0]
    used = set(re.findall(r"(?:fill|stroke): #[0-9a-f]{6}", svg.replace(dark, "")))
    assert used - {colour for colour in used if f"[style*='{colour}']" in dark} == {f"fill: {plot.COLOURS[0]}"}


def test_kept_results_can_be_drawn_again() -> None:
    """Every kept file of results still has the plots that lie beside it."""
    results = ROOT / "benchmarks" / "results"
    drawn = set[str]()
    for file in results.glob("*.jsonl"):
        lines = read(file)
        found = comparison_plots.plots(lines) if "kind" in lines[0] else suite_plots.plots(lines)
        drawn |= {f"{file.stem}-{name}.svg" for name in found}

    kept = {file.name for file in results.glob("*.svg")}
    assert kept
    assert kept <= drawn


def texts_of(svg: str) -> set[str]:
    """The texts of a plot."""
    return {element.text or "" for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (1234.5, "1,234"), (12.34, "12.3"), (0.01234, "0.0123"), (100, "100"), (250000, "250,000")],
)
def test_numbers_have_three_digits(value: float, shown: str) -> None:
    """And thousands are apart; zeros before the point stay."""
    assert shown == plot.number(value)


def test_operations_are_those_of_the_products() -> None:
    """Counted by hand for one token of DistilBERT: six blocks of 4 x 768 x 768 and 2 x 768 x 3072, and attention."""
    done, whole = operations(synthetic_models.DISTILBERT.config, 1)
    assert 2 * 6 * (4 * 768**2 + 2 * 768 * 3072 + 2 * 768) == whole == done
    done, whole = operations(synthetic_models.DISTILBERT.config, 128)
    assert 0.85 < done / whole < 0.9  # most of one of six blocks is left out


def test_operations_are_counted_whatever_a_config_calls_its_sizes() -> None:
    """BERT's base shape has twice DistilBERT's blocks, and so has BART's, half of which attend a second time."""
    distilbert, bert, bart = (
        operations(one.config, 1)[1]
        for one in (synthetic_models.DISTILBERT, synthetic_models.BERT, synthetic_models.BART)
    )

    assert bert == 2 * distilbert
    assert bart == bert + 2 * 6 * (4 * 768**2 + 2 * 768)


def test_any_forty_texts_in_a_row_have_all_lengths() -> None:
    """Nothing is lost, and the first texts are as long on average as all of them."""
    ids = np.arange(1000, dtype=np.int32)
    texts = [Measured(str(size), EncodedText(ids[:size], ids[:size])) for size in range(1, 401)]
    found = evenly(texts)
    assert sorted(one.tokens for one in found) == list(range(1, 401))
    for begin in (0, 40, 360):
        mean = sum(one.tokens for one in found[begin : begin + 40]) / 40
        assert mean == pytest.approx(200.5, abs=5)


def test_the_traced_server_answers_as_labeld_and_adds_up_each_stage(tmp_path: Path) -> None:
    """Every stage of a request takes time, all together less than the request, and asking begins anew."""
    with TracedServer(cache=tmp_path) as server:
        with Connection(server.port) as connection:
            for _ in range(3):
                status, body = connection.ask(post("/", "The kettle works."))
                assert status == 200
                assert b"POSITIVE" in body
        found, after = server.stages(), server.stages()

    assert (3, 0) == (found["requests"], after["requests"])
    assert all(found["seconds"][stage] > 0 for stage in STAGES)
    assert sum(found["seconds"][stage] for stage in STAGES) < found["seconds"]["total"]
    assert found["cpu"]["event loop"] > 0
