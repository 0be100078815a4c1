from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recommender_engine.embedding import ModelCatalogue, ModelSource, parse_source
from recommender_engine.embedding.model_files import locate
from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2
from recommender_engine.errors import ConfigurationError, ModelError


def test_names_are_in_the_order_declared() -> None:
    catalogue = ModelCatalogue([ModelSource("second"), ModelSource("first")])

    assert catalogue.names == ("second", "first")


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="model 'own' is declared twice"):
        ModelCatalogue([ModelSource("own"), ModelSource("own", directory=Path("/models/own"))])


def test_an_unknown_name_lists_the_known_ones() -> None:
    catalogue = ModelCatalogue([ModelSource("small"), ModelSource("large")])

    with pytest.raises(ConfigurationError, match="model 'medium' is not declared; there are: small, large"):
        catalogue.encoder("medium")


def test_without_models_there_is_none_to_name() -> None:
    with pytest.raises(ConfigurationError, match="there are: none"):
        ModelCatalogue([]).encoder("small")


@pytest.mark.model
def test_a_model_is_loaded_once() -> None:
    catalogue = ModelCatalogue([parse_source("all-MiniLM-L6-v2")])

    encoder = catalogue.encoder("all-MiniLM-L6-v2")

    assert encoder.identity.name == "all-MiniLM-L6-v2"
    assert catalogue.encoder("all-MiniLM-L6-v2") is encoder


@pytest.mark.model
def test_a_model_that_failed_to_load_is_tried_again(tmp_path: Path) -> None:
    catalogue = ModelCatalogue([parse_source(f"all-MiniLM-L6-v2={tmp_path}/model")])
    with pytest.raises(ModelError, match="model is not a directory"):
        catalogue.encoder("all-MiniLM-L6-v2")

    (tmp_path / "model").symlink_to(locate(ALL_MINILM_L6_V2))

    assert catalogue.encoder("all-MiniLM-L6-v2").identity.dimension == 384


def test_what_travels_to_another_process_is_declared_not_loaded(tmp_path: Path) -> None:
    sources = [parse_source("all-MiniLM-L6-v2"), parse_source(f"own={tmp_path}")]
    catalogue = ModelCatalogue(sources, 2, "auto", tmp_path, 16)
    travelled = copy.copy(catalogue)
    kept = {name: value for name, value in vars(catalogue).items() if name != "_loading"}
    assert {name: value for name, value in vars(travelled).items() if name != "_loading"} == kept


def test_declaring_models_imports_no_model_library_and_leaves_the_environment_alone() -> None:
    program = (
        "import os, sys\n"
        "before = dict(os.environ)\n"
        "from recommender_engine.embedding import ModelCatalogue, parse_source\n"
        "ModelCatalogue([parse_source('all-MiniLM-L6-v2')])\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'huggingface_hub'} & set(sys.modules)\n"
        "print(sorted(heavy), dict(os.environ) == before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=dict(os.environ),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "[] True\n"
