"""The inside of the sandbox: what runs in the clean interpreter that executes untrusted programs.

Nothing here imports the rest of the package: the clean interpreter starts without site-packages and loads this folder alone. The same
modules are importable from outside as `codetextbook.sandbox.cell`, where only the wire format is used.
"""
