"""Where people answer: the queue between a run and people, the page they see, how good they are.

The run, the server and the browser are three processes that meet only in the run's `queue.sqlite`.
"""
