"""Side by side with what one would otherwise use. ``python -m benchmarks --help`` tells what there is."""
