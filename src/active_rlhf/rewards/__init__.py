"""What was learned: reward models."""
