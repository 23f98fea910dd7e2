"""What it acts in: environments and rollouts."""
