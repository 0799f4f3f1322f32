"""Secrets and personal data in a text: found, counted, and masked as StarCoder's data has them (`<KEY>`, `<EMAIL>`, `<IP_ADDRESS>`).

Secrets are tokens and keys whose form tells what they are: the patterns are those of `detect-secrets` (extra `secrets`), without its
guesses by entropy or by a variable's name, which are wrong more often than right in code. Addresses that stand for no one are left: example
domains, private, local and reserved networks.

Limits: names of people, telephone numbers and passwords without a form are not found.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from codetextbook.errors import MissingDependency

_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]{0,20000}-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----)?"
)
_WHOLE = (
    "AzureStorageKeyDetector",
    "DiscordBotTokenDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "JwtTokenDetector",
    "MailchimpDetector",
    "OpenAIDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "SquareOAuthDetector",
    "StripeDetector",
    "TelegramBotTokenDetector",
)
_IN_CONTEXT = ("AWSKeyDetector", "BasicAuthDetector", "NpmDetector")
"""Their patterns show the secret as their first group, where they have one."""

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+@/:-])[A-Za-z0-9._%+-]{1,64}@(?P<domain>(?:[A-Za-z0-9-]{1,63}\.){1,8}[a-z]{2,24})(?![A-Za-z0-9(_-])"
)
_NOBODY = re.compile(
    r"(?:^|\.)(?:example(?:\.(?:com|org|net|edu))?|test|invalid|localhost|local|domain\.com|email\.com)$"
)
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9a-fA-F]{3}:(?:[0-9a-fA-F]{1,4}:{1,2}){1,6}[0-9a-fA-F]{1,4}(?![\w:])")


class Masked(NamedTuple):
    """A text without what was found, and how much that was."""

    text: str
    found: int


def mask_secrets(text: str) -> Masked:
    """Keys and tokens give way to `<KEY>`.

    Raises:
        MissingDependency: `detect-secrets` is not installed.
    """
    text, found = _PRIVATE_KEY.subn("<KEY>", text)
    for pattern, group in _patterns():
        if group:
            text, count = pattern.subn(_inner, text)
        else:
            text, count = pattern.subn("<KEY>", text)
        found += count
    return Masked(text, found)


def mask_personal(text: str) -> Masked:
    """E-mail addresses and public IP addresses give way to `<EMAIL>` and `<IP_ADDRESS>`."""
    found = 0

    def email(match: re.Match[str]) -> str:
        nonlocal found
        if _NOBODY.search(match["domain"].lower()):
            return match.group()
        found += 1
        return "<EMAIL>"

    def address(match: re.Match[str]) -> str:
        nonlocal found
        try:
            public = ipaddress.ip_address(match.group()).is_global
        except ValueError:
            public = False
        found += public
        return "<IP_ADDRESS>" if public else match.group()

    if "@" in text:
        text = _EMAIL.sub(email, text)
    return Masked(_IPV6.sub(address, _IPV4.sub(address, text)), found)


def _inner(match: re.Match[str]) -> str:
    """The match with its first group masked."""
    start, end = match.span(1)
    return match.string[match.start() : start] + "<KEY>" + match.string[end : match.end()]


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], bool], ...]:
    """Patterns, and whether the first group of each is the secret."""
    try:
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    except ImportError as error:
        raise MissingDependency(
            "the package `detect-secrets` is not installed",
            where="[read] secrets",
            hint="pip install 'codetextbook[secrets]'",
        ) from error
    plugins: Iterable[Any] = get_mapping_from_secret_type_to_class().values()
    known = {plugin.__name__: plugin for plugin in plugins}
    whole = [(pattern, False) for name in _WHOLE for pattern in known[name].denylist]
    patterns: list[re.Pattern[str]] = [pattern for name in _IN_CONTEXT for pattern in known[name].denylist]
    return (*whole, *((pattern, pattern.groups > 0) for pattern in patterns))
