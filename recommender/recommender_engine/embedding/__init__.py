"""Texts into vectors: the models there are, their files, and the encoders over them."""

from recommender_engine.embedding.catalogue import Encoders, ModelCatalogue, identity_of
from recommender_engine.embedding.encoder import Embeddings, Encoder, ModelIdentity
from recommender_engine.embedding.model_source import KNOWN_MODELS, ModelSource, parse_source
from recommender_engine.embedding.registry import ModelRegistry, RegisteredModel
from recommender_engine.embedding.validation import require_unit_vectors

__all__ = [
    "KNOWN_MODELS",
    "Embeddings",
    "Encoder",
    "Encoders",
    "ModelCatalogue",
    "ModelIdentity",
    "ModelRegistry",
    "ModelSource",
    "RegisteredModel",
    "identity_of",
    "parse_source",
    "require_unit_vectors",
]
