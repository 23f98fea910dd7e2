"""One run: the loop, its sessions and schedule, and all that makes it resumable."""
