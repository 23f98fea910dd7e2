"""Which candidate pairs stay in play.

Each filter is a file of this folder with the decorator `@filter`. It is called with `Pairs` and
gives bool [m], or None to let all pairs pass.
"""
