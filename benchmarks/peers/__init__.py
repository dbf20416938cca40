"""Other libraries, each in an environment of its own, measured beside mltfr by the same commands."""
