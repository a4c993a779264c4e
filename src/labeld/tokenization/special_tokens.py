"""tokenizer_config.json, special_tokens_map.json, added_tokens.json -> the tokens a tokenizer has beside its model's.

The order of the files and of the tokens is that of transformers 5 (`PreTrainedTokenizerBase._from_pretrained` and
`TokenizersBackend.__init__`); it decides the id of a token that the vocabulary does not have, and which of two
descriptions of one token counts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tokenizers import AddedToken, Tokenizer, processors
from tokenizers.processors import PostProcessor

from labeld.errors import FolderError
from labeld.tokenization.files import read_object

CONFIG_FILE = "tokenizer_config.json"
MAP_FILE = "special_tokens_map.json"
ADDED_FILE = "added_tokens.json"

ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""transformers' SPECIAL_TOKENS_ATTRIBUTES, in its order."""

Token = str | AddedToken
Rules = Mapping[str, Mapping[str, bool]]
"""Rules by role, for a token of which the files have only the text."""
OwnTokens = Callable[[Sequence[Token] | None], Sequence[Token]]
"""The extra tokens of a class, given the `additional_special_tokens` of the files, if they speak of them."""

Placed = tuple[str, int]
"""A token and its id."""


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The added tokens that a folder's files name."""

    named: Mapping[str, Token]
    """By role, those of `ROLES` first, in its order."""
    added: Mapping[int, AddedToken]
    """By the id that the files give; the tokenizer gives a token the id of its vocabulary, or the next one."""
    extra: Sequence[Token] | None
    """`extra_special_tokens`; None when the files do not speak of them."""
    additional: Sequence[Token] | None = None
    """`additional_special_tokens`, in folders where they are not another name for `extra`."""

    def text(self, role: str) -> str:
        """The token of a role, such as `cls_token`; raises FolderError when the files say there is none."""
        if role not in self.named:
            raise FolderError(f"{CONFIG_FILE} says that there is no {role}, which this tokenizer needs.")
        return _text(self.named[role])

    def add_to(self, tokenizer: Tokenizer, own: OwnTokens = lambda additional: additional or ()) -> Sequence[Token]:
        """Adds all of them, and `own` where the files do not speak of extra tokens; returns the extra ones."""
        extra = own(self.additional) if self.extra is None else self.extra
        wanted: dict[Token, None] = dict.fromkeys(token for _, token in sorted(self.added.items()))
        known = {_text(token) for token in (*tokenizer.get_added_tokens_decoder().values(), *wanted)}
        wanted |= dict.fromkeys(token for token in (*self.named.values(), *extra) if _text(token) not in known)
        names = {_text(token) for token in self.named.values()}
        tokenizer.add_tokens([_added(token, special=_text(token) in names) for token in wanted])
        return extra

    def add_again(self, tokenizer: Tokenizer, extra: Sequence[Token], *, plain: bool) -> None:
        """Adds named and extra tokens once more, which replaces their rules; `plain` by those of a bare text."""
        named = [self.named[role] for role in ROLES if role in self.named] if plain else self.named.values()
        tokens = [*named, *extra]
        if plain:
            tokenizer.add_tokens([AddedToken(_text(token), special=True) for token in tokens])
        else:
            tokenizer.add_special_tokens(tokens)


@dataclass(frozen=True, slots=True)
class PlacedTokens:
    """Special tokens that have been added to a tokenizer, with their ids."""

    tokens: SpecialTokens
    tokenizer: Tokenizer
    file: str
    """Of the vocabulary, for sentences."""

    def text(self, role: str) -> str:
        """The token of a role; raises FolderError when the files say there is none."""
        return self.tokens.text(role)

    def has(self, role: str) -> bool:
        """True when the role has a token."""
        return role in self.tokens.named

    def place(self, role: str) -> Placed:
        """The token of a role and its id; raises FolderError naming the vocabulary's file when no file has it."""
        return self._placed(self.text(role))

    def template(
        self, single: str, pair: str, roles: Mapping[str, str], texts: Mapping[str, str] | None = None
    ) -> PostProcessor:
        """A post-processor; `roles` and `texts` say which token each placeholder in `single` and `pair` stands for."""
        of_roles = [(name, self.place(role)[1]) for name, role in roles.items()]
        of_texts = [(name, self._placed(text)[1]) for name, text in (texts or {}).items()]
        return processors.TemplateProcessing(single, pair, of_roles + of_texts)

    def _placed(self, text: str) -> Placed:
        number = self.tokenizer.token_to_id(text)
        of_model = self.tokenizer.get_vocab_size(with_added_tokens=False)
        if number is None or (number >= of_model and text not in map(_text, self.tokens.added.values())):
            raise FolderError(f"{self.file} has no {text} token.")
        return text, number


def read_special_tokens(
    folder: Path,
    config: Mapping[str, Any],
    defaults: Mapping[str, Token | None],
    rules: Rules = MappingProxyType({}),
    serialized: Iterable[Any] = (),
) -> SpecialTokens:
    """The tokens of a folder, with a tokenizer class's `defaults` for roles nobody speaks of, and its `rules`.

    `config` is the content of tokenizer_config.json, `serialized` the `added_tokens` of tokenizer.json. Raises
    FolderError naming the file that is broken.
    """
    stated: dict[str, Any] = {
        key: _read_any(value, CONFIG_FILE) for key, value in config.items() if _speaks_of_tokens(key, value)
    }
    if "additional_special_tokens" in stated and not stated.get("extra_special_tokens"):
        stated["extra_special_tokens"] = stated.pop("additional_special_tokens")
    added: dict[int, AddedToken] = {}
    if "added_tokens_decoder" in config:
        added = _numbered(_pairs(config["added_tokens_decoder"]), CONFIG_FILE)
    else:
        stated |= _from_map(folder / MAP_FILE, stated)
        added = _legacy(folder / ADDED_FILE, stated)
        added |= _numbered(((one.get("id"), one) for one in serialized if isinstance(one, dict)), "tokenizer.json")
    return _combined(stated, added, defaults, rules)


def _combined(
    stated: Mapping[str, Any], added: dict[int, AddedToken], defaults: Mapping[str, Token | None], rules: Rules
) -> SpecialTokens:
    by_text: dict[str, Token] = {token.content: token for token in added.values()}
    named: dict[str, Token] = {}
    for role in ROLES:
        token = stated[role] if role in stated else defaults.get(role)
        if token is None:
            continue
        if role in stated:
            token = by_text.get(_text(token), token)
        named[role] = AddedToken(token, **rules[role]) if isinstance(token, str) and role in rules else token
    named |= {role: token for role, token in stated.items() if _is_other_role(role) and token is not None}
    extra, additional = (
        stated[key] or () if key in stated else None for key in ("extra_special_tokens", "additional_special_tokens")
    )
    if isinstance(extra, dict):
        named |= extra
        extra = None
    return SpecialTokens(named, added, extra, additional)


def _from_map(path: Path, stated: Mapping[str, Any]) -> dict[str, Any]:
    """special_tokens_map.json, whose lists of extra tokens go after those of tokenizer_config.json."""
    if not path.exists():
        return {}
    found: dict[str, Any] = {}
    for key, value in read_object(path).items():
        if not _speaks_of_tokens(key, value):
            continue
        found[key] = _read_any({**value, "special": True} if _is_token(value) else value, MAP_FILE)
    before = stated.get("extra_special_tokens")
    if isinstance(before, list) and isinstance(found.get("extra_special_tokens"), list):
        found["extra_special_tokens"] = list(dict.fromkeys((*before, *found["extra_special_tokens"])))
    return found


def _legacy(path: Path, stated: Mapping[str, Any]) -> dict[int, AddedToken]:
    """added_tokens.json: a token is special when a role or the extra tokens name it."""
    if not path.exists():
        return {}
    extra = stated.get("extra_special_tokens")
    special = {_text(stated[role]) for role in ROLES if stated.get(role)} | {_text(one) for one in extra or ()}
    return _numbered(
        (
            (number, {"content": text, "normalized": text not in special, "special": text in special})
            for text, number in read_object(path).items()
        ),
        ADDED_FILE,
    )


def _numbered(pairs: Iterable[tuple[Any, Any]], file: str) -> dict[int, AddedToken]:
    try:
        return {int(number): _token(value, file) for number, value in pairs}
    except (TypeError, ValueError):
        raise FolderError(f"{file}: an added token's id is not a whole number.") from None


def _pairs(value: Any) -> Iterable[tuple[Any, Any]]:
    if not isinstance(value, dict):
        raise FolderError(f"{CONFIG_FILE}: added_tokens_decoder is not an object.")
    return value.items()


def _speaks_of_tokens(key: str, value: Any) -> bool:
    """True when transformers reads tokens from this key; `add_bos_token` and the like are switches."""
    if key in ROLES or key in ("extra_special_tokens", "additional_special_tokens"):
        return True
    return _is_other_role(key) and (isinstance(value, str) or _is_token(value))


def _is_other_role(key: str) -> bool:
    """A role that only one model has, such as `image_token`."""
    return key.endswith("_token") and key not in ROLES


def _is_token(value: Any) -> bool:
    return isinstance(value, dict) and "content" in value


def _read_any(value: Any, file: str) -> Any:
    """One token, a list or an object of them, or null."""
    if value is None:
        return None
    if isinstance(value, list):
        return [_token(one, file) if isinstance(one, dict) else _plain(one, file) for one in value]
    if _is_token(value):
        return _token(value, file)
    if isinstance(value, dict):
        return {key: _read_any(one, file) for key, one in value.items()}
    return _plain(value, file)


def _plain(value: Any, file: str) -> str:
    if not isinstance(value, str):
        raise FolderError(f"{file}: {value!r} is not a token.")
    return value


def _token(value: Any, file: str) -> AddedToken:
    """A token with its rules, as the files write it."""
    switches = ("single_word", "lstrip", "rstrip", "normalized", "special")
    if not _is_token(value) or not isinstance(value["content"], str):
        raise FolderError(f"{file}: {value!r} is not a token.")
    if any(not isinstance(value.get(switch, False), bool) for switch in switches):
        raise FolderError(f"{file}: a rule of the token {value['content']!r} is not true or false.")
    return AddedToken(value["content"], **{switch: value[switch] for switch in switches if switch in value})


def _added(token: Token, *, special: bool) -> AddedToken:
    if isinstance(token, str):
        return AddedToken(token, special=True)
    if special:
        token.special = True  # as TokenizersBackend does; its `normalized` stays
    return token


def _text(token: Token) -> str:
    return token if isinstance(token, str) else token.content
