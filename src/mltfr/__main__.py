"""`python -m mltfr`, as `torchrun -m mltfr` needs it."""

from mltfr.cli.main import main

if __name__ == "__main__":
    main()
