from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from contract.rows import Array
from export.cases import torch_runner
from export.drive import Feed
from export.errors import RowDependenceError
from export.verify.predict import verify_rows
from tests.export.predictors import TOYS, make_predict_material


@pytest.mark.parametrize("kind", TOYS)
def test_a_graph_that_mixes_rows_is_found(kind: str) -> None:
    material = make_predict_material(kind)
    signature, rows = material.model.signature, material.random_rows((6, 1, 3), seed=3)
    right = torch_runner(material.model, "predict")
    verify_rows(signature, "fp32", {"predict": right}, rows, 1e-4)
    name = signature.outputs[-1].name

    def mixed(feed: Mapping[str, Array]) -> Feed:
        outputs = right(feed)
        rows_beside = len(outputs[name]) - 1
        return {**outputs, name: outputs[name] + np.float32(0.01 * rows_beside)}

    with pytest.raises(RowDependenceError, match=r"fp32: row \d \(sizes .* beside 2 rows differs by 0\.02"):
        verify_rows(signature, "fp32", {"predict": mixed}, rows, 1e-4)
