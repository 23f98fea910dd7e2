"""Who acts: policies and how they are improved."""
