"""`codetextbook serve`: a model behind OpenAI's completions interface, for editors and exams on this machine."""
