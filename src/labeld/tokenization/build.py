"""A recipe, a vocabulary and tokenizer_config.json -> the tokenizer that transformers 5 builds of them."""

from functools import partial

from tokenizers import Tokenizer

from labeld.errors import FolderError
from labeld.tokenization import steps
from labeld.tokenization.guard import failures_as
from labeld.tokenization.recipes import Recipe
from labeld.tokenization.special_tokens import PlacedTokens, SpecialTokens
from labeld.tokenization.steps import Config
from labeld.tokenization.vocabulary import Vocabulary


def build(recipe: Recipe, vocabulary: Vocabulary, tokens: SpecialTokens, config: Config) -> Tokenizer:
    """The whole tokenizer; raises FolderError when vocabulary, tokens and recipe do not fit."""
    tokenizer = Tokenizer(recipe.model(vocabulary, tokens, config))
    with failures_as(lambda: FolderError(f"{vocabulary.file} has a character map that cannot be read.")):
        normalizer = recipe.normalizer(config, vocabulary.character_map)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = recipe.pre_tokenizer(config)
    own = vocabulary.settings.post_processor
    if own is not None:
        tokenizer.post_processor = own
    finish(PlacedTokens(tokens, tokenizer, vocabulary.file), recipe, config)
    return tokenizer


def finish(placed: PlacedTokens, recipe: Recipe, config: Config) -> None:
    """Adds the special tokens to a tokenizer, then the class's post-processor if it does not keep that of its file."""
    tokenizer = placed.tokenizer
    with failures_as(lambda: FolderError(f"{placed.file} has a normalizer that fails on a special token.")):
        extra = placed.tokens.add_to(tokenizer, partial(recipe.own_tokens, config))
        if recipe.added_again != "no":
            placed.tokens.add_again(tokenizer, extra, plain=recipe.added_again == "plain")
    kind = "files without one" if tokenizer.post_processor is None else "files with one"
    if recipe.processor and recipe.processor_for in ("all files", kind):
        tokenizer.post_processor = recipe.processor(placed, config)
    elif tokenizer.post_processor is None:
        tokenizer.post_processor = steps.bos_and_eos(placed, config)
