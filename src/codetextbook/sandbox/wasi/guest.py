"""What a guest is started with: the modules of the cell as text, its role, and what is its alone. It has no folder to read from."""

from __future__ import annotations

import base64
from pathlib import Path

_MODULES = ("codec", "peer", "program", "judge")
_CELL = Path(__file__).parents[1] / "cell"

# Runs in the guest. Its descriptors 0 and 1 are the conversation, the judge's 2 the verdict; nothing that a program prints goes there.
_BOOT = """
import base64, io, os, sys, types
role, given, cap = sys.argv[1], base64.b64decode(sys.argv[2]), int(sys.argv[3])
cell = types.ModuleType('cell'); cell.__path__ = []; sys.modules['cell'] = cell
for name, text in zip(sys.argv[4::2], sys.argv[5::2]):
    module = types.ModuleType('cell.' + name); module.__package__ = 'cell'
    sys.modules['cell.' + name] = module; setattr(cell, name, module)
    exec(compile(base64.b64decode(text), name, 'exec'), module.__dict__)
codec, program, judge = cell.codec, cell.program, cell.judge
sys.argv[:] = sys.orig_argv[:] = ['program']
import random
random.seed(0)
class Sink(io.TextIOBase):
    def writable(self):
        return True
    def write(self, text):
        return len(text)
sys.stdin, sys.stdout, sys.stderr = io.StringIO(), Sink(), Sink()
value = codec.decode(given)
if role == 'program':
    program.serve_text(value, 0, 1)
elif role == 'blocks':
    program.run_texts(value, 1, cap)
else:
    status, detail = judge.verdict_on(value, 0, 1)
    os.write(2, bytes([judge.VERDICTS.index(status)]) + detail.encode('utf-8', 'replace')[:judge.DETAIL_CAP_BYTES])
"""


def arguments(role: str, given: bytes, output_bytes: int) -> list[str]:
    """The command line of a guest: `program`, `judge` or `blocks`, and its message."""
    own = [base64.b64encode(given).decode(), str(output_bytes)]
    sources = [
        word for name in _MODULES for word in (name, base64.b64encode((_CELL / f"{name}.py").read_bytes()).decode())
    ]
    return ["python", "-S", "-s", "-E", "-X", "utf8", "-c", _BOOT, role, *own, *sources]
