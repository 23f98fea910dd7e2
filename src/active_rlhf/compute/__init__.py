"""How arithmetic runs: compilation, precision, layers. Nothing runs on import."""
