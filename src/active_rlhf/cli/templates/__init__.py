"""What `active-rlhf new` writes: one file per kind of part, each working as it is.

`template_name` and `TemplateName` become the new part's name.
"""
