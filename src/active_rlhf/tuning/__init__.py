"""Sweeps: suggesting trials, judging them, and choosing settings from them."""
