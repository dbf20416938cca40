"""Faults on purpose: kills, full disks, damage, lies; what each is answered with. `benchmarks/soak.py` runs them."""
