"""`python -m codetextbook`."""

from codetextbook.cli import main

main(prog_name="codetextbook")
