"""Commands by which people answer: the review queue, calibration, single answers."""
