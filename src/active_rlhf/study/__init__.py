"""What to run: a study's settings, read and checked, and the runs they describe."""
