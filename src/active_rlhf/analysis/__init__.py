"""Statistics of runs: from data frames of episodes to tables, and findings in words."""
