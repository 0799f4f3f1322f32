"""The edge to language models that grade and write, and the stand-ins that cost nothing.

`protocol` says what a teacher is. Backends make one attempt: `openai` at any compatible server (`wire` words it, `flow` says how many
at once, `client` or the `official` package carries it), `batch` at its bulk work, `local` with weights on this machine (`weights` finds
them, `slots` is their cache), `vllm` with its offline engine. `journalled` makes a teacher of a backend: `journal` keeps every paid reply
and holds the budget (`ledger` tells, checks and carries it), `hedge` sends what is slow a second time, `prices` knows what it costs.
`recorded` replays replies; `ask` asks many at once; `connect` makes all this from a site's settings; `preview` shows what would be sent.
`drills` has the recorded exercises and asks for more; `pages` takes a page apart into code and what it should print.
`rule` grades by counting `facts`, and is always labelled as a rule; `agreement` measures judges against grades.
"""

from codetextbook.teacher.ask import Answer, ask_ahead, ask_all, ask_objects, dollars_of, yes_share
from codetextbook.teacher.connect import Connected, connect, connect_ahead
from codetextbook.teacher.journal import Journal, Limits
from codetextbook.teacher.journalled import Journalled, Patience, Progress
from codetextbook.teacher.openai import OpenAIBackend
from codetextbook.teacher.protocol import (
    Again,
    Backend,
    Failure,
    Message,
    Prices,
    Reply,
    Request,
    Teacher,
    Unanswered,
)
from codetextbook.teacher.recorded import RecordedTeacher

__all__ = [
    "Again",
    "Answer",
    "Backend",
    "Connected",
    "Failure",
    "Journal",
    "Journalled",
    "Limits",
    "Message",
    "OpenAIBackend",
    "Patience",
    "Prices",
    "Progress",
    "RecordedTeacher",
    "Reply",
    "Request",
    "Teacher",
    "Unanswered",
    "ask_ahead",
    "ask_all",
    "ask_objects",
    "connect",
    "connect_ahead",
    "dollars_of",
    "yes_share",
]
