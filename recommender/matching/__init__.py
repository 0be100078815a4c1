"""Verdicts on pairs, behind one seam."""

from recommender.matching.cosine_rule import CosineRule
from recommender.matching.matcher import Candidate, Comparable, Matcher

__all__ = ["Candidate", "Comparable", "CosineRule", "Matcher"]
