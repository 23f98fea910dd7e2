"""What `active-rlhf new` writes: one file a kind of part, each of which works as it is.

`template_name` and `TemplateName` become the new part's name.
"""
