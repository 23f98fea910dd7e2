"""Statistics of runs: from data frames of episodes to tables, and what the tables say in words."""
