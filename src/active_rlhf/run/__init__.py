"""One run: the loop, its sessions and schedule, and everything that makes it resumable."""
