"""MuJoCo's running robots, stepped inside compiled code."""
