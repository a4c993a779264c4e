"""How people type: no accents, no punctuation, typing errors, and what posts on the web carry."""

from __future__ import annotations

import random
import re

from language_texts import UNACCENTED, UNSPACED, without_accents

EDGES = ".,;:!?¡¿…\"'„“”«»()。、\uff1f\uff01「」؟،।"
INVERTED = re.compile(r"[¡¿]")
EMOJI = "😀 😂 ❤️ 👍 🙏 😭 🔥 😊 :) :-) ;) <3 XD :D".split()  # noqa: SIM905
USERS = "@user @maria_92 @tom @the_real_ivan @noticias @nieuws @aiko @BBC @user123 RT".split()  # noqa: SIM905
LINKS = ("http", "https://t.co/a8Bx2", "www.example.com", "http://bit.ly/2kLm", "https://example.org/p?id=7")
LONG_VOWEL = re.compile(r"([aeiouаоиеαεο!?])(?=\W|$)")  # noqa: RUF001  # Cyrillic and Greek ones too


def worn(text: str, language: str, rng: random.Random) -> str:
    """The text as a hurried person might type it; half of the time as it is."""
    if rng.random() < 0.35:
        text = text.strip(EDGES)
    elif rng.random() < 0.2:
        text = INVERTED.sub("", text)
    if language in UNACCENTED and rng.random() < 0.15:
        text = without_accents(text)
    if rng.random() < 0.05:
        text = mistyped(text, rng)
    if rng.random() < 0.08:
        text = posted(text, language, rng)
    return text


def mistyped(text: str, rng: random.Random) -> str:
    """The text with one letter dropped, doubled, or changed for the next one."""
    places = [place for place, mark in enumerate(text[:-1]) if mark.isalpha() and text[place + 1].isalpha()]
    if len(places) < 4:
        return text
    at = rng.choice(places)
    first, second = text[at], text[at + 1]
    return text[:at] + rng.choice([second, first + first + second, second + first]) + text[at + 2 :]


def posted(text: str, language: str, rng: random.Random) -> str:
    """The text as a post: with a user, a link, an emoji or a tag made of one of its words, or drawn out at its end."""
    kind = rng.randrange(5)
    if kind == 0:
        return " ".join([*rng.choices(USERS, k=rng.randint(1, 2)), text])
    if kind == 1:
        return f"{text} {rng.choice(LINKS)}"
    if kind == 2:
        return f"{text} {''.join(rng.choices(EMOJI, k=rng.randint(1, 3)))}"
    if kind == 3:
        return LONG_VOWEL.sub(lambda found: found[1] * rng.randint(2, 5), text, count=1)
    words = text.split()
    if language in UNSPACED or not words:
        return text
    at = rng.randrange(len(words))
    return " ".join([*words[:at], "#" + words[at].strip(EDGES), *words[at + 1 :]])
