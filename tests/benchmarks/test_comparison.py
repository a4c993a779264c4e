"""The comparison with other servers: what a peer's metadata say, ratios, and peers that die, hang or lie."""

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.comparison import tables
from benchmarks.comparison.control import Control, reasons_void
from benchmarks.comparison.matchup import Limits, Matchup
from benchmarks.comparison.ratios import figures
from benchmarks.comparison.records import Records, read
from benchmarks.comparison.replies import difference, rankings
from benchmarks.comparison.schedule import Schedule
from benchmarks.comparison.traffic import Traffic
from benchmarks.lib import peer_process
from benchmarks.lib.peer import Peer, PeerError, Variant, all_peers, read_peer
from benchmarks.lib.peer_environment import Environment
from benchmarks.lib.peer_process import RunningServer
from benchmarks.lib.server import free_port
from labeld.types import Text
from tests.support.server_process import wait_until

METADATA = """# /// script
# requires-python = ">=3.11"
# dependencies = ["someserver==1.2.3"]
#
# [tool.compare]
# title = "Some server"
# path = "/{model}/classify"
# body = '{"text": "TEXT"}'
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "int8"
# engine = "onnx"
# arguments = ["--int8"]
# environment = { OMP_NUM_THREADS = "2" }
# ///
"""
SERVER = (
    METADATA
    + """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers["content-length"])))["text"]
        reply = json.dumps([{"label": "GOOD", "score": SCORE}]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""
)
HANGS = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = "import os, time; os.setsid(); print(os.getpid(), file=open({file!r}, 'w'), flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child])
time.sleep(600)
"""


def _script(folder: Path, text: str) -> Path:
    script = folder / "fake.py"
    script.write_text(text)
    return script


def _matchup(folder: Path, text: str, limits: Limits, precision: str = "float32") -> Matchup:
    """A matchup of a script that needs nothing installed."""
    texts = [Text("a"), Text("b")]
    variant = Variant("documented", precision, "torch")  # type: ignore[arg-type]
    peer = Peer(_script(folder, text), "Fake", ">=3.11", (), (variant,), body='{"text": "TEXT"}')
    traffic = Traffic("distilbert", "org/model", folder, {"mixed": texts}, {"mixed": 3.0})
    place = folder / "environment" / "bin"
    place.mkdir(parents=True)
    installed = Environment(place / "python", {})
    installed.python.symlink_to(sys.executable)
    expected = [{"GOOD": 0.5, "BAD": 0.5}] * 2
    return Matchup(peer, variant, installed, traffic, expected, {}, Schedule(), folder, lambda *_: None, limits)


def _alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_metadata_say_what_a_peer_is(tmp_path):
    """A script's inline metadata become a peer."""
    peer = read_peer(_script(tmp_path, METADATA))

    assert ("fake", "Some server", "/{model}/classify") == (peer.name, peer.title, peer.path)
    assert ("someserver==1.2.3",) == peer.dependencies
    assert (Variant("tuned", "int8", "onnx", ("--int8",), {"OMP_NUM_THREADS": "2"}),) == peer.variants


@pytest.mark.parametrize(
    ("wrong", "right", "names"),
    [
        ("# /// script", "# no block", "no block of inline metadata"),
        ("# title", "# titel", "titel"),
        ('"int8"\n', '"int4"\n', "int4"),
        ('"TEXT"', '"text"', '"TEXT"'),
        ("# dependencies", "# needs", "dependencies"),
        ("# path = ", "# path ", "metadata are wrong"),
    ],
)
def test_wrong_metadata_are_named(tmp_path, wrong, right, names):
    """A mistake in the metadata is refused with its name."""
    with pytest.raises(PeerError, match=names):
        read_peer(_script(tmp_path, METADATA.replace(wrong, right, 1)))


def test_every_peer_can_be_read():
    """Each script in benchmarks/peers has metadata that make a peer."""
    assert {"fastapi_onnx", "fastapi_pipeline"} <= {peer.name for peer in all_peers()}


def test_a_text_is_put_into_the_body_as_json(tmp_path):
    """Quotes in a text, or a text that is the placeholder itself, leave the body valid."""
    peer = read_peer(_script(tmp_path, METADATA.replace("# body", '# pair_body = \'["TEXT", "PAIR"]\'\n# body')))

    assert json.loads(peer.request_body(Text('say "PAIR"'))) == {"text": 'say "PAIR"'}
    assert json.loads(peer.request_body(Text('"PAIR"', '"TEXT"'))) == ['"PAIR"', '"TEXT"']


def test_a_peer_without_a_body_for_pairs_says_so(tmp_path):
    """A pair asked of a peer that takes none is an error with its title."""
    with pytest.raises(PeerError, match="Some server takes no pairs"):
        read_peer(_script(tmp_path, METADATA)).request_body(Text("a", "b"))


@pytest.mark.parametrize(
    "reply",
    [
        [{"label": "A", "score": 0.7}, {"label": "B", "score": 0.3}],
        [[{"label": "A", "score": 0.7}, {"label": "B", "score": 0.3}]],
        {
            "object": "classify",
            "data": [[{"score": 0.7, "label": "A"}, {"score": 0.3, "label": "B"}]],
            "usage": {"n": 1},
        },
    ],
)
def test_scores_are_found_in_any_shape_of_reply(reply):
    """Lists, lists of lists and objects around a ranking are looked into."""
    assert [{"A": 0.7, "B": 0.3}] == rankings(reply)


def test_the_largest_difference_counts():
    """A label that is left out is not compared; one that nobody knows is an error, and so is a missing text."""
    expected = [{"A": 0.7, "B": 0.3}, {"A": 0.2, "B": 0.8}]

    assert difference(expected, [{"A": 0.7}, {"B": 0.9}]) == pytest.approx(0.1)
    with pytest.raises(PeerError, match="LABEL_0"):
        difference(expected, [{"LABEL_0": 0.7}, {"A": 0.2}])
    with pytest.raises(PeerError, match="1 rankings for 2"):
        difference(expected, expected[:1])


def test_a_peer_that_dies_is_reported_with_its_log_end(tmp_path):
    """The exit code and what it wrote to stderr are in the reason."""
    with pytest.raises(PeerError, match=r"code 3.*no such engine"):
        _matchup(tmp_path, "import sys; print('no such engine', file=sys.stderr); sys.exit(3)", Limits()).run()


def test_a_peer_that_hangs_is_killed_with_all_that_it_started(tmp_path):
    """Neither a process that ignores SIGTERM nor its child in a session of its own is left."""
    file = tmp_path / "child"
    text = HANGS.replace("{file!r}", repr(str(file)))

    with pytest.raises(PeerError, match=r"no answer within 2 s"):
        _matchup(tmp_path, text, Limits(prepare=2.0)).run()

    assert wait_until(lambda: not _alive(int(file.read_text())))


def test_a_peer_that_answers_with_errors_only_is_not_waited_for(tmp_path, monkeypatch):
    """It is given the time that loading takes, and the last error is in the reason."""
    monkeypatch.setattr(peer_process, "ERRORS_FOR", 0.5)
    text = SERVER.replace("SCORE", "0.5").replace("send_response(200)", "send_response(500)")
    with pytest.raises(PeerError, match=r"no answer within \d s \(500 "):
        _matchup(tmp_path, text, Limits(prepare=20.0)).run()


def test_ctrl_c_does_not_wait_for_a_server_that_ignores_its_end(tmp_path):
    """A server that ignores SIGTERM is killed after a second, with all that it started."""
    file = tmp_path / "child"
    script = _script(tmp_path, HANGS.replace("{file!r}", repr(str(file))))
    server = RunningServer([sys.executable, str(script)], dict(os.environ), free_port(), "/")
    with suppress(KeyboardInterrupt), server:
        assert wait_until(lambda: file.exists() and bool(file.read_text()))
        interrupted = time.monotonic()
        raise KeyboardInterrupt

    assert time.monotonic() - interrupted < 4.0
    assert wait_until(lambda: not _alive(int(file.read_text())))


def test_wrong_scores_in_float32_are_not_timed(tmp_path):
    """A peer that computes something else is reported before any load."""
    with pytest.raises(PeerError, match=r"scores are wrong: up to 0.1"):
        _matchup(tmp_path, SERVER.replace("SCORE", "0.6"), Limits()).run()


def test_a_server_is_measured_from_its_start_and_ended(tmp_path):
    """The first answer, memory and end of a server that works."""
    port = free_port()
    command = [sys.executable, str(_script(tmp_path, SERVER.replace("SCORE", "0.5"))), "--port", str(port)]
    with RunningServer(command, dict(os.environ), port, "/") as server:
        assert 0 < server.first_answer(b'{"text": "a"}', 20.0) < 20.0
        assert server.peak_memory() > 1e6
        pid = server.process.pid

    assert not _alive(pid)


def test_a_server_is_still_while_labeld_is_asked(tmp_path):
    """It does nothing meanwhile, and answers again afterwards."""
    port = free_port()
    command = [sys.executable, str(_script(tmp_path, SERVER.replace("SCORE", "0.5"))), "--port", str(port)]
    with RunningServer(command, dict(os.environ), port, "/") as server:
        server.first_answer(b'{"text": "a"}', 20.0)
        with server.paused(), pytest.raises(TimeoutError):
            server.ask(b'{"text": "a"}', 0.5)
        assert server.ask(b'{"text": "a"}', 5.0)[0] == 200


def _peer(
    variant: str, precision: str, engine: str, rate: float, ours: dict[str, float], **more: Any
) -> dict[str, Any]:
    """A line of results."""
    who = {"title": f"{variant} {engine}", "variant": variant, "precision": precision, "engine": engine}
    measured = [("peer", 32, rate), ("peer", 1, rate), *((name, 32, one) for name, one in ours.items())]
    loads = [
        {"mix": "mixed", "connections": connections, "who": name, "rates": [one]} for name, connections, one in measured
    ]
    alike = {"kind": "peer", "peer": engine, "model": "distilbert", "in_process": False, "versions": {"x": "1"}}
    rest = {"difference": 0.0, "peak_mb": 1000.0, "first_answer_s": 8.0, "open": [], "loads": loads}
    return {**alike, **who, **rest, **more}


LINES = [
    {
        "kind": "machine",
        "date": "2026-11-25T00:00:00Z",
        "commit": "abc",
        "cores": 2,
        "cpu": "x",
        "seconds": 6,
        "rounds": 2,
    },
    _peer("documented", "float32", "torch", 30.0, {"float32": 90.0, "int8": 250.0}),
    _peer("documented", "float32", "onnx", 40.0, {"float32": 92.0, "int8": 240.0}),
    _peer("tuned", "int8", "onnx", 200.0, {"int8": 220.0}),
    {
        "kind": "absent",
        "title": "Broken",
        "variant": "tuned",
        "precision": "float32",
        "model": "m",
        "reason": "no\nwheel",
    },
    {"kind": "end", "void": []},
]


def test_the_strongest_peer_of_a_group_counts():
    """A cell is the least ratio of its group, and says whether it keeps the bar."""
    found = {one.name: one for one in figures(LINES)}

    assert found["float32 / documented servers"].value == pytest.approx(2.3)
    assert not found["float32 / documented servers"].passed
    assert found["int8 / documented servers"].value == pytest.approx(6.0)
    assert found["int8 / the same in int8"].value == pytest.approx(1.1)
    assert "float32 / tuned torch" not in found


def test_latency_at_80_percent_is_compared_in_the_worst_case():
    """The figure is labeld's p99 as a share of the peer's."""
    loops = [
        {"share": 0.8, "who": who, "p50_ms": 1, "p99_ms": p99} for who, p99 in (("peer", 400.0), ("float32", 100.0))
    ]
    [found] = [
        one
        for one in figures([_peer("tuned", "float32", "torch", 30.0, {"float32": 60.0}, open=loops)])
        if one.name.startswith("p99")
    ]

    assert found.value == pytest.approx(0.25)
    assert found.passed


def test_markdown_says_misses_and_absences_as_plainly_as_wins():
    """The README's table names the bar that is missed, and who was not measured."""
    text = tables.markdown(LINES)

    assert "| labeld float32 | 2.30x (MISSED: 2.7x) | - | - | - |" in text
    assert "Broken, tuned, float32, m | no wheel" in text
    assert "VOID" not in text


def test_a_run_without_an_end_is_void():
    """An interrupted run says so."""
    assert "VOID: the run was interrupted" in tables.markdown(LINES[:-1])


def test_lines_are_kept_as_they_come(tmp_path):
    """A file has every line that was added, with null for what is not a number."""
    file = tmp_path / "results" / "one.jsonl"
    found = Records(file)
    found.add({"kind": "machine", "value": float("nan")})
    found.add({"kind": "end", "void": []})

    assert [{"kind": "machine", "value": None}, {"kind": "end", "void": []}] == read(file) == found.lines


def test_a_busy_machine_makes_a_run_void():
    """Work that takes longer than an idle machine's clock explains, or cores that others use, are reasons."""
    assert [] == reasons_void([Control(0.010, 0.01), Control(0.0125, 0.05)])
    assert "same work" in reasons_void([Control(0.010, 0.0), Control(0.014, 0.0)])[0]
    assert "other work" in reasons_void([Control(0.010, 0.0), Control(0.010, 0.4)])[0]
