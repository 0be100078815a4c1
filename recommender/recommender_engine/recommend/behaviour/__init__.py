"""What interactions teach: partners of items, profiles of users, sessions. Pure values; the store keeps the rows."""

from recommender_engine.recommend.behaviour.learning import Behaviour, BehaviourRows, Observation
from recommender_engine.recommend.behaviour.rows import ItemRow, Profile, ProfileItem, SessionRow

__all__ = ["Behaviour", "BehaviourRows", "ItemRow", "Observation", "Profile", "ProfileItem", "SessionRow"]
