"""`codetextbook view`: the rows of a workspace in a browser, and a person's judgement of them.

Documents, grades, what was rejected and why, duplicates, pages, exercises, matches, completions and training, as they lie in the
artifacts. Nothing is computed that a stage has not recorded, but for the agreement of a person with the teacher. The artifacts are only
read; a person's grades and marks are written to files of their own.
"""
