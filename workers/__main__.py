"""``python -m workers`` is the ``recommender`` command."""

from workers.cli import main

main()
