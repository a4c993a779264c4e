"""The words of the fuzzer's grammar: names, values, header fields and paths, good ones and others."""

from typing import Any

MODELS = (
    "org/bert",
    "org/one-label",
    "org/multi-label",
    "org/nli",
    "org/nli-first",
    "bare",
    "a/same",
    "same",
    "none/a",
)
TEXTS = (
    "i like the film",
    "",
    "the market fell",
    "\0",
    "é日本",
    "x" * 40,
    "word " * 60,
    "\N{GRINNING FACE}",
    "a [SEP] b",
)
IDS: tuple[str, ...] = (
    "..",
    "../../etc/passwd",
    "%2e%2e/x",
    "org/bert/",
    "/org/bert",
    "org//bert",
    "org%2Fbert",
    "a" * 300,
    "org/bert\n",
)
IDS += ("org/bert@main", "org/bert:predict", "\u212aelvin", "org\\bert", "org/bert%00", "http://169.254.169.254/x", "é")
MEMBERS = (
    *("inputs", "input", "text", "text_pair", "texts", "query", "queries", "documents", "passages", "instances"),
    *("parameters", "options", "labels", "candidate_labels", "hypothesis_template", "multi_label", "model", "top_k"),
    *(
        "top_n",
        "truncate",
        "truncation",
        "truncation_direction",
        "truncation_side",
        "max_length",
        "stride",
        "aggregate",
    ),
    *("return_windows", "threshold", "function_to_apply", "return_all_scores", "raw_scores", "return_text", "name"),
    *("return_documents", "max_tokens_per_doc", "truncate_prompt_tokens", "use_activation", "activation", "data", "id"),
    *("shape", "datatype", "outputs", "label", "use_cache", "wait_for_model", "dont_load_model", "text_1", "text_2"),
    *("contents", "detector_params", "structured_messages", "images", "additional_provider_specific_params", "task"),
)
SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3.0, 0.5, -0.0, 1e308, 2**31, 2**63, -(2**63), 2**64, 10**400, "", "1", "true"),
    *(
        "\ud800",
        "\udfff x",
        "\0",
        "a",
        "max",
        "mean",
        "left",
        "sigmoid",
        "none",
        "BYTES",
        "org/bert",
        "x" * 5000,
        [],
        {},
    ),
    *([[]], [[[]]], {"": ""}, {"text": "a"}, {"text": None}, ["a", 1], [None], {"role": "user", "content": "a"}),
)
PIECES = (
    *(b'{"inputs":', b"[", b"]", b"{", b"}", b'"', b"\\", b"\\ud800", b"\\udc00", b",", b":", b"1e999", b"NaN", b"\0"),
    *(
        b"-Infinity",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"0" * 5000,
        b"inputs=a&",
        b"\r\n",
        b"//",
        b"[" * 99,
    ),
    *(b'"inputs":"a",', b"null", b"1.0", b"-", b"e", b"\xf0\x9f", b"%7B", b"\x1f\x8b"),
)
FIELDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "content-type",
        ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "*"),
    ),
    ("content-type", ("application/json; charset=utf-16", "application/octet-stream", "", "a" * 500, "é")),
    ("content-encoding", ("gzip", "identity", "br", "gzip, gzip", "x-gzip", "deflate", "", "GZIP")),
    ("accept", ("*/*", "text/html", "application/json", "text/html;q=0", "", ",", "text/html, */*;q=0.1")),
    ("x-use-cache", ("0", "1", "true", "false", "", "maybe", "\xff")),
    ("x-wait-for-model", ("0", "1", "true", "false", "x")),
    ("x-load-model", ("0", "1", "true", "false", "x")),
    ("authorization", ("Bearer hf_abc", "Bearer ", "Basic YTpi", "Bearer  x", "bearer hf_" + "a" * 40, "\xe9")),
    ("host", ("localhost", "127.0.0.1:80", "evil.example", "", "localhost:99999", "[::1]", "a" * 300, "localhost@x")),
    ("origin", ("null", "https://evil.example", "http://localhost", "http://127.0.0.1:80", "", "x", "http://[")),
    ("sec-fetch-site", ("same-origin", "cross-site", "none", "same-site", "x")),
    ("sec-fetch-mode", ("cors", "navigate", "no-cors")),
    ("access-control-request-method", ("POST", "GET", "x", "")),
    ("access-control-request-headers", ("authorization", "x-use-cache, content-type", "é", ",")),
    ("cookie", ("labeld=x", "labeld_session=abc; a=b", "=", ";;;", "a" * 4000)),
    ("x-request-id", ("abc", "a" * 129, "a\tb", "é", "")),
    ("x-amzn-trace-id", ("abc", "Root=1-2-3")),
    ("traceparent", ("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "00-x", "")),
    ("user-agent", ("unknown/None; hf_hub/0.36.0; python/3.11", "huggingface_hub/x", "hf_hub/", "")),
    ("inference-header-content-length", ("0", "1", "-1", "99999999999", "x", "", "40")),
    ("detector-id", ("default", "org/bert", "none", "é", "")),
    ("range", ("bytes=0-", "bytes=-1", "bytes=0-0,1-1", "x")),
    ("if-none-match", ("*", '"x"')),
    ("x-forwarded-for", ("1.2.3.4", "x")),
    ("expect", ("100-continue", "x")),
    ("content-length", ("0", "5", "99999999")),
    ("x-" + "a" * 100, ("b" * 1000,)),
)
QUERIES: tuple[str, ...] = (
    "",
    "",
    "",
    "",
    "top_k=1",
    "top_k=%ff&a",
    "truncation=&&=;",
    "full=true",
    "limit=5&skip=1",
    "search=%00",
)
QUERIES += (
    "filter=text-classification&sort=x&limit=-1",
    "inference=warm",
    "cursor=zzz",
    "page=999999999999",
    "%",
    "code=x",
)
PAGES: tuple[str, ...] = (
    "/tokens",
    "/sign-in",
    "/sign-out",
    "/static/labeld.css",
    "/static/../app.py",
    "/tokens/abc/revoke",
    "/favicon.ico",
)
PAGES += ("/status/org/bert", "/nothing", "/", "//", "/models//", "/docs/text-classification", "/v1", "/openapi.json")
METHODS = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "POST", "TRACE")
