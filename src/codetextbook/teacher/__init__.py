"""The edge to language models that grade and write, and the stand-ins that cost nothing.

`protocol` says what a teacher is; `openai` asks any compatible server; `recorded` replays replies; `journal` keeps every paid reply and
holds the budget; `connect` joins them. `rule` grades by counting `facts`, and is always labelled as a rule; `agreement` measures judges
against grades; `pages` takes a page apart into code and what it should print.
"""

from codetextbook.teacher.connect import ask_all, connect
from codetextbook.teacher.journal import Journal, Journalled, Limits
from codetextbook.teacher.openai import OpenAITeacher
from codetextbook.teacher.protocol import Failure, Message, Prices, Reply, Request, Teacher, Unanswered
from codetextbook.teacher.recorded import RecordedTeacher

__all__ = [
    "Failure",
    "Journal",
    "Journalled",
    "Limits",
    "Message",
    "OpenAITeacher",
    "Prices",
    "RecordedTeacher",
    "Reply",
    "Request",
    "Teacher",
    "Unanswered",
    "ask_all",
    "connect",
]
