"""``manage.py recommender_sync``."""
