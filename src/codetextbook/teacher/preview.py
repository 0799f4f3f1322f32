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
    lines = [
        f"POST {endpoint.base_url.rstrip('/')}{path_of(request)}",
        f"key of the reply: {request.key(name, dict(endpoint.extra_body) or None)}",
        f"at most {request.most_input_tokens:,} tokens sent and {request.max_tokens:,} answered",
        json.dumps(body, ensure_ascii=False, indent=2, sort_keys=True),
    ]
    for message in messages or []:
        lines += ["", f"--- {message['role']} ---", message["content"]]
    return "\n".join(lines)
