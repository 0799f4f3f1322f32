"""Requests and replies in the words of the OpenAI protocol: chat completions and completions; no I/O.

A body that is no reply is `None`; what can be said about it is said by the caller, who knows the HTTP status.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from codetextbook.teacher.protocol import Prices, Reply, Request

TOP_LOGPROBS = 20
"""Alternatives of the first token that a server is asked for (the protocol's most)."""
BYTES_OF_FRAME = 65_536
BYTES_OF_TOKEN = 256
BYTES_OF_TOKEN_WITH_ALTERNATIVES = 8_192


class Dialect(NamedTuple):
    """What a server wants worded in its own way."""

    tokens_field: str = "max_tokens"
    """Name of the limit of tokens (`max_completion_tokens` for OpenAI's reasoning models)."""
    extra: Mapping[str, Any] = {}
    """Fields added to every body."""
    with_schema: bool = True
    """Whether the server is asked to hold its answers to a JSON schema."""


def path_of(request: Request) -> str:
    """The path of the request's kind, below the base address."""
    return "/chat/completions" if request.form == "chat" else "/completions"


def body_of(request: Request, model: str, dialect: Dialect = Dialect()) -> dict[str, Any]:  # noqa: B008
    """The body that is sent."""
    body: dict[str, Any] = {
        "model": model,
        "temperature": request.temperature,
        dialect.tokens_field: request.max_tokens,
    }
    if request.form == "chat":
        body["messages"] = [{"role": one.role, "content": one.content} for one in request.messages]
        if request.answers:
            body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        if request.schema and dialect.with_schema:
            named = {"name": "reply", "strict": True, "schema": dict(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
    else:
        body["prompt"] = "".join(one.content for one in request.messages)
        if request.answers:
            body["logprobs"] = TOP_LOGPROBS
    if request.stop:
        body["stop"] = list(request.stop)
    if request.sample:
        body["seed"] = request.sample
    return body | dict(dialect.extra)


def most_bytes(request: Request) -> int:
    """More than any honest reply is long."""
    one = BYTES_OF_TOKEN_WITH_ALTERNATIVES if request.answers else BYTES_OF_TOKEN
    return BYTES_OF_FRAME + one * request.max_tokens


def reply_of(request: Request, body: Any, prices: Prices, model: str) -> Reply | None:
    """The answer in a body, or None. Without a count of tokens, the most that there can be are charged."""
    try:
        choice = body["choices"][0]
        message = choice["message"] if request.form == "chat" else {"content": choice["text"]}
        refusal = message.get("refusal")
        text = refusal or message.get("content")
        if text is None and not choice.get("finish_reason"):
            return None
        usage = body.get("usage") or {}
        sent = max(0, int(usage.get("prompt_tokens", request.most_input_tokens)))
        answered = max(0, int(usage.get("completion_tokens", request.max_tokens)))
        reason = "refusal" if refusal else str(choice.get("finish_reason") or "")
        scores = _scores(request, choice.get("logprobs"))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError):
        return None
    return Reply(_encodable(str(text or "")), sent, answered, prices.dollars(sent, answered), reason, model, scores)


def _encodable(text: str) -> str:
    r"""JSON may name half a surrogate pair (`\ud800`), which no file can hold: it becomes the replacement sign."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _scores(request: Request, told: Any) -> dict[str, float]:
    """Log-probability of each answer as the reply's first token, whatever white space stands round it."""
    if not request.answers or not told:
        return {}
    first: Iterable[tuple[str, float]]
    if request.form == "chat":
        first = [(one["token"], float(one["logprob"])) for one in told["content"][0]["top_logprobs"]]
    else:
        first = [(token, float(value)) for token, value in told["top_logprobs"][0].items()]
    found: dict[str, float] = {}
    for answer in request.answers:
        same = [math.exp(value) for token, value in first if token.strip() == answer]
        if sum(same) > 0:
            found[answer] = math.log(sum(same))
    return found


def said(body: Any) -> str:
    """What a server said in its own words."""
    if isinstance(body, dict):
        error = body.get("error", body)
        return str(error.get("message", error) if isinstance(error, dict) else error)
    return str(body)


def error_code(body: Any) -> str:
    """The protocol's short code of an error, or nothing."""
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("code") or error.get("type") or "") if isinstance(error, dict) else ""


def parsed(text: str) -> Any:
    """A body as JSON, or its text where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
