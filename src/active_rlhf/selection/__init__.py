"""What is asked: which pairs of segments a session puts to the teacher.

A selector is candidates x filter x score x picker, each a part in the folder of that name.
`composition` reads a study's settings, `selector` runs the stages, `context` is what they may look
at, `pairs` is what scores, filters and pickers are given, and `presets` are the named selectors.
"""
