"""Tables in LaTeX and Markdown."""
