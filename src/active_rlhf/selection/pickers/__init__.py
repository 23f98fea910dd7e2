"""Which of the pairs in play are asked about.

Each picker is a file of this folder with the decorator `@picker`. It is called with the `Pairs`
that reached it, the number of queries and a random generator, and gives that many different
indices.
"""
