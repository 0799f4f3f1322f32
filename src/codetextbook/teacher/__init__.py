"""The edge to language models that grade and write, and the stand-ins that cost nothing.

`protocol` says what a teacher is. Backends make one attempt: `openai` at any compatible server (`wire` words it, `flow` says
how many at once). `journalled` makes a teacher of a backend: `journal` keeps every paid reply and holds the budget, `prices`
knows what it costs. `recorded` replays replies; `ask` asks many at once; `connect` makes all this from a site's settings.
`rule` grades by counting `facts`, and is always labelled as a rule; `agreement` measures judges against grades; `pages` takes a
page apart into code and what it should print.
"""

from codetextbook.teacher.ask import Answer, ask_all, ask_objects
from codetextbook.teacher.connect import connect
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
    "ask_all",
    "ask_objects",
    "connect",
]
