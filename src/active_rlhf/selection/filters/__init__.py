"""Which candidate pairs stay in play.

Each filter is a file of this folder under `@filter`, called with `Pairs`. It gives bool [m], or
None while it lets all pairs pass.
"""
