"""From run directories to tables: exports, their provenance, and checks of both."""
