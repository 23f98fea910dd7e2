"""Tables of a study in LaTeX and Markdown: functions from data frames to `Table`, by subject."""
