"""tokenizer.json -> tokenizer, as transformers 5 reads it.

Of most classes transformers takes only the vocabulary of the file and builds the rest anew from tokenizer_config.json;
for example `do_lower_case` there decides, not the file's normalizer. Of the other classes the file is taken as it is.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from labeld.tokenization.build import build, finish
from labeld.tokenization.files import read_object, require_size
from labeld.tokenization.guard import failures_as
from labeld.tokenization.recipes import NO_CLASS, RECIPES, Recipe
from labeld.tokenization.special_tokens import PlacedTokens, SpecialTokens, read_special_tokens
from labeld.tokenization.tokenizer_class import BUILT_ANEW
from labeld.tokenization.vocabulary import TOKENIZER_FILE, FileSettings, broken, from_content, settings_of

SWITCHES_OF_BARE_FILES = ("add_bos_token", "add_eos_token")
"""Switches that do not count beside tokenizer.json."""


def read_tokenizer_json(folder: Path, config: Mapping[str, Any], class_name: str) -> tuple[Tokenizer, FileSettings]:
    """The tokenizer of a folder with tokenizer.json; raises FolderError naming the file that is broken."""
    config = {key: value for key, value in config.items() if key not in SWITCHES_OF_BARE_FILES}
    if class_name in BUILT_ANEW:
        content = read_object(folder / TOKENIZER_FILE)
        vocabulary = from_content(content)
        added = content.get("added_tokens") or []
        tokens = _special_tokens(folder, config, RECIPES[class_name], vocabulary.settings, added)
        return build(RECIPES[class_name], vocabulary, tokens, config), vocabulary.settings
    require_size(folder / TOKENIZER_FILE)
    with failures_as(broken):
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    recipe, settings = RECIPES.get(class_name, NO_CLASS), settings_of(tokenizer)
    tokens = _special_tokens(folder, config, recipe, settings, [])
    finish(PlacedTokens(tokens, tokenizer, TOKENIZER_FILE), recipe, config)
    return tokenizer, settings


def _special_tokens(
    folder: Path, config: Mapping[str, Any], recipe: Recipe, settings: FileSettings, added: list[Any]
) -> SpecialTokens:
    """The special tokens of a folder; a class without its own pad_token has that of the file's padding."""
    return read_special_tokens(folder, config, {"pad_token": settings.pad_token, **recipe.tokens}, recipe.rules, added)
