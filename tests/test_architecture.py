"""The import graph only ever points down this list."""

import ast
from pathlib import Path

PACKAGE = "labeld"
ROOT = Path(__file__).parents[1] / "src" / PACKAGE
LAYERS = [  # a module imports only from rows below its own
    "__main__",
    "cli",
    "models_command keys_command",
    "flags",
    "web.application web.server classify_command check_command verify_command",
    "web.supervisor",
    "web.worker",
    "web.protocol",
    "web.lifetime",
    "web.connections",
    "web.app wiring",
    "web.pages.routes",
    "web.pages.task web.pages.catalogue web.pages.reference web.pages.static web.pages.status web.pages.tokens",
    "web.pages.sign_in web.pages.token_form",
    "web.pages.model",
    "web.pages.site web.pages.render web.pages.facts web.pages.snippets web.pages.shown",
    "web.watchdog web.hub_routes web.status",
    "web.history web.forms",
    "web.access web.incoming web.sessions web.request_log",
    "service",
    "loader listing",
    "catalogue",
    "model store hub",
    "engines verdicts",
    "dispatch engines.openvino engines.torch precision_trial",
    "engines.transformers_model engines.openvino_precision model_queue",
    "graphs graphs.int8 graphs.gelu probe",
    "graphs.bert graphs.roberta graphs.electra graphs.modernbert graphs.deberta",
    "graphs.encoder graphs.disentangled",
    "graphs.distances graphs.stretches",
    "graphs.blocks",
    "keys.keyring",
    "keys.store keys.limits",
    "keys.tables keys.secret keys.sign_in keys.records",
    "manifest addresses locks disk card",
    "model_files text tokenizer_files probe_texts checkpoint wire planner folders registry load_history engines.base",
    "web.openapi web.origins known_answers",
    "state",
    "cache.answers cache.redis_store cache.revisions precision web web.pages web.pages.recommended",
    "cache cache.keys cache.memory_store cache.sealed revision keys keys.token keys.location",
    "body safetensors_file torch_file tokenizer_json sentencepiece_tokenizer failures json_file memory",
    "scratch_file strict_json torch_zip torch_pickle word_piece byte_bpe unigram sentencepiece_file character_map",
    "mapped_file special_tokens tokenizer_class",
    "model_config",
    "messages settings metrics access_errors",
    "web_settings",
    "setting totals printable",
    "errors",
]
RANK = {name: row for row, names in enumerate(reversed(LAYERS)) for name in names.split()}


def modules() -> dict[str, Path]:
    """Dotted name of every module under the package, except the root."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name:
            found[name] = path
    return found


def imported_by(path: Path) -> set[str]:
    """Modules of this package that a file imports anywhere, lazily or for typing included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    own = {name.removeprefix(f"{PACKAGE}.") for name in names if name.startswith(f"{PACKAGE}.")}
    return own & set(RANK)


def test_every_module_has_a_row() -> None:
    """A new file must be given a place in LAYERS."""
    assert set(RANK) == set(modules())


def test_imports_point_down() -> None:
    """No module imports from its own row or from a row above it."""
    uphill = [
        f"{name} imports {target}"
        for name, path in modules().items()
        for target in imported_by(path)
        if RANK[target] >= RANK[name] and not name.startswith(f"{target}.")
    ]

    assert [] == uphill


def test_only_settings_reads_the_environment() -> None:
    """No other module reads an environment variable."""
    readers = [
        name
        for name, path in modules().items()
        if name != "settings" and any(word in path.read_text() for word in ("getenv", "environ.get", "in os.environ"))
    ]

    assert [] == readers


def test_files_stay_small() -> None:
    """A file of more than 300 lines has a second reason to change."""
    assert [] == [name for name, path in modules().items() if len(path.read_text().splitlines()) > 300]
