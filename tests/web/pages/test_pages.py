"""The pages as a server sends them: what is chosen by Accept, headers, and what stands in them without scripts."""

import html
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests

from labeld.checkpoint.model_card import Card, read_card
from labeld.config.settings import Settings
from labeld.types import Text
from labeld.web import openapi, openapi_fields
from labeld.web.pages.recommended_models import KNOWN, RECOMMENDED, USE_CASES
from tests.support.local_hub import LocalHub
from tests.support.payloads import PAYLOADS
from tests.support.server_process import Server, serving

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PATHS = ["/", "/models", "/models/org/bert", "/models/labeld/sentiment-en", "/docs/text-classification"]
ROOT = Path(__file__).parents[3]


def see(server: Server, path: str, status: int = 200, **headers: str) -> requests.Response:
    """A path as a browser asks for it."""
    reply = server.session.get(server.url + path, headers={**BROWSER, **headers}, timeout=60)
    assert status == reply.status_code, reply.text
    assert "text/html; charset=utf-8" == reply.headers["content-type"]
    return reply


def words(page: str) -> str:
    """The text of a page, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


class Tags(HTMLParser):
    """Every element of a page, and what could make it run something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.active: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes one element."""
        self.names.append(tag)
        for name, value in attrs:
            leads = name in {"href", "src", "action", "formaction", "data", "xlink:href"}
            script = leads and re.match(r"\s*(javascript|data):", value or "", re.IGNORECASE)
            if name.startswith("on") or name in {"style", "srcdoc", "data-planted"} or script:
                self.active.append(f"{tag} {name}={value}")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/plain, */*"])
def test_json_unless_html_is_named(server: Server, path: str, accept: str | None) -> None:
    """Clients of an API, which name no text/html, get JSON from every page's address."""
    reply = requests.get(server.url + path, headers={"accept": accept}, timeout=60)  # type: ignore[dict-item]

    assert 200 == reply.status_code
    assert "application/json" == reply.headers["content-type"]
    assert "accept" == reply.headers["vary"]
    assert reply.json()


@pytest.mark.parametrize("accept", [BROWSER["accept"], "text/html", "application/json;q=0.9, TEXT/HTML;q=0.1"])
def test_html_when_it_is_named(server: Server, accept: str) -> None:
    """Wherever in Accept it stands."""
    assert "<!doctype html>" in see(server, "/", accept=accept).text


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "/models/no/such"])
def test_every_page_has_the_headers_of_a_page(server: Server, path: str) -> None:
    """Nothing from elsewhere, nothing inline, no frame, no guessing of types, no referrer; error pages too."""
    reply = server.session.get(server.url + path, headers=BROWSER, timeout=60)
    policy = dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))

    assert "'none'" == policy["default-src"]
    assert {"'self'"} == {policy[name] for name in ("script-src", "style-src", "connect-src", "form-action")}
    assert {"'none'"} == {policy[name] for name in ("base-uri", "frame-ancestors")}
    assert "nosniff" == reply.headers["x-content-type-options"]
    assert "no-referrer" == reply.headers["referrer-policy"]
    assert "same-origin" == reply.headers["cross-origin-opener-policy"]
    assert "accept" == reply.headers["vary"]
    assert [] == Tags(reply.text).active
    assert [] == re.findall(r"<script(?![^>]*\ssrc=)[^>]*>", reply.text)


def test_pages_name_no_other_host(server: Server) -> None:
    """Every address in a page is a path of this server, or the server itself in the code to copy."""
    for path in PATHS:
        page = see(server, path).text
        assert [] == re.findall(r"""(?:src|href|action)=["'](?!/|#)[^"']*""", page)
        assert {server.url} >= set(re.findall(r"https?://[a-z0-9.:]+", page)), path


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/nothing", 404, "There is nothing at this path"),
        ("/models/no/such", 404, "Model no/such does not exist"),
        ("/models/same", 400, "Model same is ambiguous"),
        ("/api/models/no/such", 404, "Model no/such does not exist"),
        ("/static/nothing.js", 404, "There is nothing at this path"),
        ("/static/..%2Fapp.py", 404, "There is nothing at this path"),
    ],
)
def test_errors_are_pages_for_browsers_only(server: Server, path: str, status: int, sentence: str) -> None:
    """An error has one status and one sentence, as a page or as JSON."""
    page, plain = see(server, path, status), server.get(path)

    assert sentence in words(page.text)
    assert page.headers["x-error-message"] == plain.headers["x-error-message"]
    assert status == plain.status_code
    assert sentence in plain.json()["error"]


def test_a_wrong_method_names_all_that_are_answered(server: Server) -> None:
    """GET is a page now, where POST classifies."""
    for path in ("/", "/models/org/bert"):
        reply = server.session.put(server.url + path, timeout=60)
        assert (405, "GET, HEAD, POST") == (reply.status_code, reply.headers["allow"])


def test_a_post_is_never_a_page(server: Server) -> None:
    """A program that copied a browser's Accept header gets JSON for its text, and for its mistakes."""
    good = server.post("/models/org/bert", json={"inputs": "a"}, headers=BROWSER)
    bad = server.post("/models/org/none", json={"inputs": "a"}, headers=BROWSER)

    assert {"application/json"} == {good.headers["content-type"], bad.headers["content-type"]}


def test_static_files_are_revalidated(server: Server) -> None:
    """By a strong tag of their content; a browser that has one gets 304 and nothing else."""
    for name, kind in (("labeld.css", "text/css"), ("widget.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
        first = server.get(f"/static/{name}")
        again = server.session.get(first.url, headers={"if-none-match": first.headers["etag"]}, timeout=60)

        assert first.headers["content-type"].startswith(kind)
        assert re.fullmatch(r'"[0-9a-f]{32}"', first.headers["etag"])
        assert (304, b"") == (again.status_code, again.content)
        assert first.headers["etag"] == again.headers["etag"]


def test_the_task_page_recommends(server: Server) -> None:
    """The bundled models, the five, and the use cases; those that are not here with their command."""
    page = see(server, "/").text
    said = words(page)

    assert all(one.model_id in said for one in RECOMMENDED)
    assert {"Sentiment", "Emotions", "Natural language inference", "Grammar", "Language"} == {
        case.name for case in USE_CASES
    }
    for case in USE_CASES:
        assert case.example.text in said
        query = urlencode({"text": case.example.text}).replace("&", "&amp;")
        here = case.model_id.startswith("labeld/")
        assert here == (f'href="/models/{case.model_id}?{query}"' in page)
        assert here != (f"labeld models pull {case.model_id}" in said)


def test_the_catalogue_lists_what_is_here_and_what_is_known(server: Server) -> None:
    """With state, size and speed; those that answer soonest first."""
    server.classify("the film was good")
    rows = {one["model_id"]: one for one in server.get("/models").json()}

    assert {*KNOWN, "labeld/sentiment-en", "org/bert", "a/same", "b/same", "bare"} <= set(rows)
    assert "loaded" == next(iter(rows.values()))["state"]
    loaded, known = rows["org/bert"], rows["ProsusAI/finbert"]
    assert "loaded" == loaded["state"]
    assert {0: "negative", 1: "neutral", 2: "positive"} == {int(k): v for k, v in loaded["id2label"].items()}
    assert 300_000 < loaded["size"] < 500_000
    assert loaded["tokens_per_second"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", loaded["last_used"])
    assert ("absent", None, None) == (known["state"], known["size"], known["architecture"])
    assert ["en"] == rows["labeld/sentiment-en"]["languages"]
    assert 20 == len(rows["labeld/language-20"]["languages"])


def test_the_catalogue_is_searched_and_filtered(models_dir: Path, tmp_path: Path) -> None:
    """By name, state and language, without scripts: the form is a GET that shows what it was given."""
    twenty, papluca = "labeld/language-20", "papluca/xlm-roberta-base-language-detection"
    with serving(tmp_path, "org/bert", "--models-dir", str(models_dir)) as server:
        for query, found in (
            ("search=SAME", ["a/same", "b/same"]),
            ("search=same&state=here&language=", ["a/same", "b/same"]),
            ("state=loaded", ["org/bert"]),
            ("language=de", [twenty, papluca]),
            ("language=de&state=absent", [papluca]),
            ("search=nothing-like-it", []),
            ("state=nonsense", []),
            ("language=<script>", []),
        ):
            page = see(server, f"/models?{query}").text
            rows = re.findall(r'<th scope="row"><a href="/models/([^"]+)"', page)

            assert found == rows == [one["model_id"] for one in server.get(f"/models?{query}").json()]
            assert f"{len(found)} of " in words(page)
            assert ("No model fits" in page) == (not found)
        shown = see(server, "/models?search=same&state=here").text
        assert 'value="same"' in shown
        assert '<option value="here" selected>' in shown


def test_the_catalogue_has_pages(tmp_path: Path) -> None:
    """More models than one page has are reached by its links, which keep the search; strange numbers are page 1."""
    for number in range(120):
        folder = tmp_path / f"models/many/model-{number:03}"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    with serving(tmp_path, "--models-dir", str(tmp_path / "models")) as server:
        path, seen = "/models?search=many", []
        while path:
            page = see(server, path).text
            assert len(page) < 60_000
            seen += re.findall(r'<th scope="row"><a href="/models/([^"]+)"', page)
            following = re.search(r'rel="next" href="([^"]+)"', page)
            path = html.unescape(following[1]) if following else ""

        assert [f"many/model-{number:03}" for number in range(120)] == seen
        for strange in ("0", "-1", "x", "99999", "1" * 50, "²"):
            assert "many/model-000" in see(server, f"/models?search=many&page={quote(strange)}").text


def test_a_model_page_says_what_the_model_is(models_dir: Path, tmp_path: Path) -> None:
    """Labels, architecture, revision, precision, speed: of a loaded model all, of another what its files say."""
    with serving(tmp_path, "org/bert", "--models-dir", str(models_dir)) as server:
        server.classify("the film was good")
        sha = server.get("/models/org/bert/info").json()["model_sha"]
        loaded, other = (words(see(server, f"/models/{model}").text) for model in ("org/bert", "bare"))
        as_json = server.get("/models/org/bert").json()

    for fact in (
        "BertForSequenceClassification",
        "negative neutral positive",
        sha[:12],
        "128 tokens",
        "float32",
        "tokens/s",
    ):
        assert fact in loaded
    assert "LABEL_0 LABEL_1" in other
    assert "known once it is loaded" in other
    assert "the first request loads it" in other
    assert sha == as_json["sha"]


def test_a_bare_name_is_the_model_it_means(server: Server) -> None:
    """As everywhere; and a slash at the end is none."""
    assert (
        "org/bert"
        == server.get("/models/bert").json()["model_id"]
        == server.get("/models/org/bert/").json()["model_id"]
    )
    assert "<h1>org/bert</h1>" in see(server, "/models/bert").text


def test_a_known_model_that_is_not_here_has_a_page(server: Server) -> None:
    """With the command that downloads it, and no widget."""
    page = see(server, "/models/ProsusAI/finbert").text

    assert "labeld models pull ProsusAI/finbert" in page
    assert "<form" not in page


def test_a_model_of_the_hub_has_a_page_and_the_hub_is_not_asked(hub: LocalHub, tmp_path: Path) -> None:
    """Whether it is there shows when somebody computes: a page never waits for the Hub."""
    with serving(tmp_path, HF_ENDPOINT=hub.url, LABELD_HUB="any") as server:
        before = len(hub.requests)
        page = words(see(server, "/models/org/model").text)

        assert "the first request downloads it from the Hub" in page
        assert "downloadable" == server.get("/models/org/model").json()["state"]
        assert before == len(hub.requests)


def test_a_precision_choice_stands_on_the_page(models_dir: Path, tmp_path: Path) -> None:
    """Speed and accuracy loss of each precision, for a model whose precision a trial chose."""
    with serving(tmp_path, "org/bert", "--models-dir", str(models_dir), "--precision", "auto") as server:
        page, view = words(see(server, "/models/org/bert").text), server.get("/models/org/bert").json()

        assert "From a trial on 343 texts on this machine" in page
        assert "float32" in page
        assert "in use" in page
        assert "by a trial on 343 texts" in view["precision_choice"]
        assert view["tokens_per_second"] > 0


def test_a_broken_model_has_a_page_that_says_why(models_dir: Path, tmp_path: Path) -> None:
    """One that is no classifier, and one whose load failed."""
    for name, config in (("other", {"model_type": "bert", "architectures": ["BertModel"]}), ("empty", None)):
        folder = tmp_path / "models/mine" / name
        if config is None:
            shutil.copytree(models_dir / "org/bert", folder)
            (folder / "model.safetensors").unlink()
        else:
            folder.mkdir(parents=True)
            (folder / "config.json").write_text(json.dumps(config))
    with serving(tmp_path, "--models-dir", str(tmp_path / "models")) as server:
        assert 500 == server.post("/models/mine/empty", json={"inputs": "a"}).status_code
        failed, unsupported = (server.get(f"/models/mine/{name}").json() for name in ("empty", "other"))

        assert ("failed", "unsupported") == (failed["state"], unsupported["state"])
        for one in (failed, unsupported):
            assert one["error"] in words(see(server, f"/models/{one['model_id']}").text)
        assert "BertModel" in unsupported["error"]


def test_code_to_copy_is_there_without_scripts(server: Server) -> None:
    """With this server's address as the browser names it, and the text of the address."""
    text = 'It\'s "good" & <b>new</b>\\ \n 世界'
    page = see(server, f"/models/org/bert?{urlencode({'text': text})}", host="models.example:99").text
    codes = {
        name: html.unescape(re.sub(r"</?span[^>]*>", "", code))
        for name, code in re.findall(r'<code id="code-([\w-]+)">(.*?)</code>', page, re.DOTALL)
    }
    literal = json.dumps(text, ensure_ascii=False)

    shells = {"curl", "tei", "vllm", "tensors"}
    assert {"hub", "requests", "inference", "fetch", *shells} == {name.removesuffix("-windows") for name in codes}
    assert {True} == {"http://models.example:99/" in code for code in codes.values()}
    assert {True} == {literal in code for name, code in codes.items() if name not in shells}
    assert {True} == {literal.replace("'", "'\\''") in codes[name] for name in shells}
    assert f">\n{html.escape(text)}</textarea>".replace("&quot;", "&#34;").replace("&#x27;", "&#39;") in page


@pytest.mark.parametrize("host", ['a"b', "a'b", "a b", "<script>", "a:b", "user@host", "a" * 300, "[::1", "a\\b"])
def test_a_strange_host_is_refused(server: Server, host: str) -> None:
    """With a page that shows it as text at most, and leads nowhere else."""
    reply = server.session.get(f"{server.url}/models/org/bert", headers={**BROWSER, "host": host}, timeout=60)

    assert reply.status_code in {400, 403}
    assert set() == {
        link for link in re.findall(r'(?:href|src)="([^"]*)"', reply.text) if not link.startswith(("/", "#"))
    }
    assert "<script>" not in reply.text


def test_a_proxy_with_tls_is_named(server: Server) -> None:
    """x-forwarded-proto makes the addresses https."""
    page = see(server, "/models/org/bert", host="models.example", **{"x-forwarded-proto": "https"}).text

    assert "https://models.example/models/org/bert" in page


def test_the_specification_has_this_servers_limits(tmp_path: Path) -> None:
    """Set otherwise, they are shown otherwise; parameters, headers and errors are those of /openapi.json."""
    with serving(tmp_path, "--max-inputs", "7", "--load-grace", "1.5", "--max-body-bytes", "12345") as server:
        said = words(see(server, "/docs/text-classification").text)
        document = server.get("/openapi.json").json()

    assert "at most 7 texts" in said
    assert "max_body_bytes 12,345" in said
    assert "held for 1.5 seconds" in said
    classify = document["paths"]["/models/{model_id}"]["post"]
    headers = {**openapi_fields.REQUEST_HEADERS, **openapi_fields.REPLY_HEADERS, **openapi_fields.ERROR_HEADERS}
    for name, text in {**headers, **openapi.ERRORS}.items():
        assert f"{name} {text}" in said
    assert set(openapi_fields.PARAMETERS) == set(
        classify["requestBody"]["content"]["application/json"]["schema"]["properties"]["parameters"]["properties"]
    )
    assert {True} == {f"{name} " in said for name in openapi_fields.PARAMETERS}
    assert document == openapi.openapi(Settings().inputs) | {"paths": document["paths"]}


def test_nothing_planted_in_an_address_becomes_an_element(server: Server) -> None:
    """500 payloads in each part of an address that is shown: ids, texts, searches."""
    assert 500 == len(set(PAYLOADS))
    plain = Tags(see(server, "/models/org/bert").text).names
    for payload in PAYLOADS:
        query = urlencode({"text": payload, "text_pair": payload})
        page = see(server, f"/models/org/bert?{query}").text
        assert plain == Tags(page).names
        assert [] == Tags(page).active
        query = urlencode({"search": payload, "state": payload, "language": payload, "page": payload})
        assert [] == Tags(see(server, f"/models?{query}").text).active
        unknown = server.session.get(f"{server.url}/models/{quote(payload, safe='')}", headers=BROWSER, timeout=60)
        assert 404 == unknown.status_code
        assert [] == Tags(unknown.text).active


def test_hostile_folder_names_are_no_models(models_dir: Path, tmp_path: Path) -> None:
    """A name that could be markup is no id and is listed nowhere; an odd but valid one is shown as it is."""
    names = ["<img src=x onerror=ran=1>", 'a"onload="ran=1', "a' b", "{{7*7}}", "a&b", "a\nb", "ok.name_1-x"]
    for name in names:
        shutil.copytree(models_dir / "org/bert", tmp_path / "models" / name)
    with serving(tmp_path, "--models-dir", str(tmp_path / "models")) as server:
        page = see(server, "/models").text
        listed = [one["model_id"] for one in server.get("/models").json() if one["origin"] == "folder"]

        assert ["ok.name_1-x"] == listed
        assert [] == Tags(page).active
        for name in names[:-1]:
            assert server.session.get(f"{server.url}/models/{quote(name, safe='')}", headers=BROWSER).status_code == 404


@pytest.mark.parametrize(
    ("head", "card"),
    [
        ("language: en", Card(("en",))),
        ("language: [de, no, EN, zh-Hant]", Card(("de", "no", "en", "zh-hant"))),
        ("widget:\n- text: ' a '\n- text: b\n  text_pair: c", Card((), (Text("a"), Text("b", "c")))),
        ("widget:\n- text: ''\n- text: 7\n- b\n- {}", Card()),
        ("widget: a\nlanguage: 7", Card()),
        ("language: '<script>'", Card()),
        ('widget:\n- text: "\\ud800"', Card()),
        ("widget:\n- text: " + "a" * 1001, Card()),
        ("language: [" * 900, Card()),
        ("[a]: b", Card()),
        ("language: *a", Card()),
        ("language: !!python/object/apply:os.system [true]", Card()),
        ("language: 2026-99-99", Card()),
        ("- a", Card()),
        ("", Card()),
    ],
)
def test_a_card_is_read_or_ignored(tmp_path: Path, head: str, card: Card) -> None:
    """Languages and examples, whatever else stands there; nothing in it can stop a page."""
    (tmp_path / "README.md").write_text(f"---\n{head}\n---\n\n# A model\n", encoding="utf-8")

    assert card == read_card(tmp_path)


def test_a_card_without_a_head_is_empty(tmp_path: Path) -> None:
    """None at all, bytes that are no text, a head without an end, and a folder of its name."""
    assert Card() == read_card(tmp_path)
    for number, content in enumerate(
        (b"# A model", b"---\nlanguage: \xff\n---\n", b"---\nlanguage: en\n" + b"#" * 70_000)
    ):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "README.md").write_bytes(content)
        assert Card() == read_card(tmp_path / str(number))
    (tmp_path / "README.md").mkdir()
    assert Card() == read_card(tmp_path)


def test_pages_cost_nothing_until_one_is_opened() -> None:
    """Neither Jinja2 nor YAML is imported by the application."""
    code = "import sys, labeld.web.app, labeld.web.factory; print([m for m in ('jinja2', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


def test_the_wheel_has_the_pages_files(tmp_path: Path) -> None:
    """Templates, style, script and icon are part of the package that is installed."""
    pytest.importorskip("hatchling")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = set(wheel.namelist())

    web = ROOT / "src/labeld/web/pages"
    files = {path.relative_to(ROOT / "src").as_posix() for path in _files(web / "templates", web / "static")}
    assert files
    assert files <= packed


def _files(*folders: Path) -> Iterator[Any]:
    for folder in folders:
        yield from folder.iterdir()
