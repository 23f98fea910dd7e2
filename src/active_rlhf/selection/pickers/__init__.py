"""Which of the pairs in play are asked about.

Each picker is a file of this folder under `@picker`, called with the `Pairs` that reached it, the
number of queries and a generator of random numbers. It gives that many different indices.
"""
