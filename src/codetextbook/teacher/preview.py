"""What would be sent, word for word, before anything is spent (`codetextbook explain STAGE --prompt`)."""

from __future__ import annotations

import json

from codetextbook.teacher.connect import Endpoint
from codetextbook.teacher.protocol import Request
from codetextbook.teacher.wire import Dialect, body_of, path_of


def preview(request: Request, endpoint: Endpoint, *, model: str = "") -> str:
    """The path, the key under which the reply would be kept, the most that it can take, and the body as it is sent."""
    name = model or endpoint.model or "(no model is named in site.toml)"
    dialect = Dialect(endpoint.tokens_field, endpoint.extra_body, endpoint.json_schema)
    body = body_of(request, name, dialect)
    messages = body.pop("messages", None)
    url = endpoint.base_url.rstrip("/")
    ways = {
        "openai": f"POST {url}{path_of(request)}",
        "batch": f"a line of a file for POST {url}/batches, to {path_of(request)}",
        "recorded": f"looked up in {endpoint.replies or 'a file of replies'}; nothing is sent",
    }
    extra = dict(endpoint.extra_body) if endpoint.kind in ("openai", "batch") else None
    lines = [
        ways.get(
            endpoint.kind, f"read by {endpoint.weights or name} on this machine ({endpoint.kind}); nothing is sent"
        ),
        f"key of the reply: {request.key(name, extra)}",
        f"at most {request.most_input_tokens:,} tokens sent and {request.max_tokens:,} answered",
        json.dumps(body, ensure_ascii=False, indent=2, sort_keys=True),
    ]
    for message in messages or []:
        lines += ["", f"--- {message['role']} ---", message["content"]]
    return "\n".join(lines)
