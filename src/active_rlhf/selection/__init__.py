"""What is asked: which pairs of segments a session puts to the teacher.

A selector is candidates x filter x score x picker, each a part of its own in the folder of its
name; `composition` reads what a study says, `selector` runs the stages, `context` is all they may
look at, `pairs` what scores, filters and pickers are given, `presets` the selectors with a name.
"""
