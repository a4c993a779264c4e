"""Traces: spans as a collector gets them, without a word of what was asked, and a dead collector costs nothing."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import Collector, collecting, plain
from tests.support.server_process import Server, run_labeld, serving, wait_until

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
MODEL = "/models/labeld/sentiment-en"
WARNING = "does not take traces"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """A collector that takes spans."""
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that sends spans to it every tenth of a second."""
    folder = tmp_path_factory.mktemp("traced")
    with serving(folder, "--otlp-endpoint", collector.url, OTEL_BSP_SCHEDULE_DELAY="100") as running:
        yield running


def asked(traced: Server, text: str, trace: str, flags: str = "01", **headers: str) -> Any:
    """The reply to a request within a caller's trace."""
    sent = {"traceparent": f"00-{trace}-{PARENT}-{flags}", **headers}
    return traced.post(MODEL, json={"inputs": [text, f"{text} too"]}, headers=sent)


def of_trace(collector: Collector, trace: str) -> dict[str, Any]:
    """The spans of a trace by their name, once the request's own has arrived, which is sent last."""
    found: dict[str, Any] = {}

    def is_whole() -> bool:
        found.update({one.name: one for one in collector.spans() if one.trace_id.hex() == trace})
        return any(name.startswith("POST") for name in found)

    assert wait_until(is_whole)
    return found


def test_a_request_continues_its_callers_trace(traced: Server, collector: Collector) -> None:
    """One span for the request and one for each step, with times that lie within it."""
    reply = asked(traced, "very good", TRACE)
    spans = of_trace(collector, TRACE)
    request = spans.pop("POST /models/{model_id}")

    assert (200, PARENT) == (reply.status_code, request.parent_span_id.hex())
    assert request.SPAN_KIND_SERVER == request.kind
    assert plain(request.attributes) == {
        "http.request.method": "POST",
        "http.route": "/models/{model_id}",
        "http.response.status_code": 200,
        "labeld.model": "labeld/sentiment-en",
        "labeld.texts": 2,
        "labeld.tokens": int(reply.headers["x-compute-tokens"]),
        "labeld.cache": False,
    }
    assert {"tokenization", "queue", "inference"} == spans.keys()
    assert {request.span_id} == {one.parent_span_id for one in spans.values()}
    times = [spans[name] for name in ("tokenization", "queue", "inference")]
    moments = [moment for one in times for moment in (one.start_time_unix_nano, one.end_time_unix_nano)]
    assert sorted(moments) == moments
    assert request.start_time_unix_nano <= moments[0]
    assert moments[-1] == request.end_time_unix_nano
    assert abs(time.time_ns() - request.end_time_unix_nano) < 30e9
    assert "labeld" == collector.resource()["service.name"]


def test_spans_have_nothing_of_what_was_asked(traced: Server, collector: Collector) -> None:
    """No text, no label, no access token and no header but the trace's."""
    trace = "1" * 32
    reply = asked(traced, "zanzibar", trace, authorization="Bearer hf_mine", cookie="labeld-session=crumb")
    labels = {one["label"] for ranking in reply.json() for one in ranking}
    of_trace(collector, trace)
    sent = b"".join(collector.bodies)

    assert [] == [word for word in ("zanzibar", "hf_mine", "crumb", *labels) if word.encode() in sent]
    assert [] == collector.wrong


def test_a_cached_answer_has_no_steps(traced: Server, collector: Collector) -> None:
    """Its span says that it came from the cache."""
    asked(traced, "cached", "2" * 32)
    asked(traced, "cached", "3" * 32)
    [request] = of_trace(collector, "3" * 32).values()

    assert plain(request.attributes)["labeld.cache"] is True


def test_failures_have_their_status(traced: Server, collector: Collector) -> None:
    """What is known of a request that was refused, and no more; the server's own faults are errors."""
    sent = {"traceparent": f"00-{'4' * 32}-{PARENT}-01"}
    traced.post("/models/org/none", json={"inputs": "a"}, headers=sent)
    [request] = of_trace(collector, "4" * 32).values()

    assert {"http.request.method", "http.route", "http.response.status_code"} == plain(request.attributes).keys()
    assert 404 == plain(request.attributes)["http.response.status_code"]
    assert request.status.STATUS_CODE_UNSET == request.status.code


def test_a_caller_decides_whether_its_trace_is_sampled(traced: Server, collector: Collector) -> None:
    """A trace that is not has no spans here; one without a caller's is new; what is no trace does no harm."""
    asked(traced, "hidden", "5" * 32, flags="00")
    for header in ("00-xyz", "00-" + "0" * 32 + f"-{PARENT}-01", "a" * 4000, "=,;=,%00"):
        reply = traced.post(MODEL, json={"inputs": "odd"}, headers={"traceparent": header, "tracestate": header})
        assert reply.status_code == 200
    asked(traced, "shown", "6" * 32)
    of_trace(collector, "6" * 32)

    assert "5" * 32 not in {one.trace_id.hex() for one in collector.spans()}
    assert 4 == sum(one.name.startswith("POST") and not one.parent_span_id for one in collector.spans())


def test_what_does_not_classify_has_no_span(traced: Server, collector: Collector) -> None:
    """Looks at the health and the metrics would drown the rest."""
    for path in ("/health", "/ready", "/metrics", "/status"):
        traced.get(path)
    asked(traced, "after", "7" * 32)
    of_trace(collector, "7" * 32)

    assert {"POST"} == {one.name.split()[0] for one in collector.spans() if "/" in one.name}


def test_the_last_spans_are_sent_at_the_end(tmp_path: Path) -> None:
    """When the server stops, whatever the time until the next batch."""
    with collecting() as collector:
        arguments = ("--otlp-endpoint", collector.url + "/v1/traces")
        with serving(tmp_path, *arguments, OTEL_BSP_SCHEDULE_DELAY="600000", OTEL_SERVICE_NAME="mine") as running:
            asked(running, "last", TRACE)
            assert [] == collector.bodies
            assert 0 == running.stop()

        assert {"tokenization", "queue", "inference"} < {one.name for one in collector.spans()}
        assert "mine" == collector.resource()["service.name"]


@pytest.mark.parametrize("hangs", [False, True])
def test_a_dead_collector_costs_nothing(tmp_path: Path, *, hangs: bool) -> None:
    """One that refuses, or takes a connection and is silent: requests are answered, one line is logged, it stops."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if not hangs:
            listener.close()
        endpoint = f"http://127.0.0.1:{port}"
        with serving(tmp_path, "--otlp-endpoint", endpoint, OTEL_BSP_SCHEDULE_DELAY="50") as running:
            running.classify("warm", "labeld/sentiment-en")
            for number in range(20):
                began = time.monotonic()
                asked(running, f"good {number}", TRACE)
                assert time.monotonic() - began < 2
                time.sleep(0.02)
            assert wait_until(lambda: WARNING in running.log.read_text(), 30)
            time.sleep(1)
            began = time.monotonic()
            assert 0 == running.stop()
            assert time.monotonic() - began < 6
        assert 1 == running.log.read_text().count(WARNING)
        assert "Traceback" not in running.log.read_text()


@pytest.mark.parametrize(
    "endpoint", ["localhost:4318", "grpc://localhost:4317", "http://", "http://a:b", "http://a/?b"]
)
def test_an_address_that_is_none_is_refused(endpoint: str) -> None:
    """At the start, with one sentence."""
    done = run_labeld("serve", "--otlp-endpoint", endpoint)

    assert done.returncode == 1
    assert f"otlp_endpoint is {endpoint!r}, but must be the address of a collector" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_a_sentence_names_it(tmp_path: Path) -> None:
    """The package is not there."""
    package = tmp_path / "opentelemetry"
    package.mkdir()
    (package / "__init__.py").write_text('raise ModuleNotFoundError("no such thing", name="opentelemetry")\n')
    done = run_labeld("serve", "--otlp-endpoint", "http://localhost:4318", PYTHONPATH=str(tmp_path))

    assert done.returncode == 1
    assert "The setting otlp_endpoint needs OpenTelemetry: pip install 'labeld[otel]'." in done.stderr
