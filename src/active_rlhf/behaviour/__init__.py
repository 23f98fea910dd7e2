"""What was seen: every step of a run, segments cut from it, and the queries asked of them."""
