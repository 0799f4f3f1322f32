"""What ships as data: recorded grades, pages and exercises, the curriculum, each labelled with who made it and how."""
