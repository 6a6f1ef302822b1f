"""For NeMo 3: a training configuration of its `DuplexS2SModel` that reads the corpus's shards in place.

The settings are the paper's; the locations of the splits and the duration buckets that batches are
drawn from follow from the corpus. The audio keeps its own rates: NeMo's example would resample the user's twice.
"""

from importlib import resources
from typing import Any

import numpy as np
import yaml

from manifests.corpus import Corpus
from manifests.errors import RequestError
from manifests.shard_reader import shard_files
from manifests.store import Store
from pipeline.export.run import conclude, start
from salm_duplex_model.config import NemoEncoderConfig
from salm_duplex_model.nemo_encoder import adapter_config

CONFIG = "s2s_duplex.yaml"
BUCKETS = 20
ENCODER_WIDTH = 512
"""Of the FastConformer in the configuration."""

_HEADER = """\
# NeMo 3, DuplexS2SModel (arXiv 2505.15670), on the corpus {corpus}. Written by `salm-duplex export --to nemo`.
# From a clone of NeMo's repository:
#   torchrun --nproc-per-node GPUS NeMo/examples/speechlm2/s2s_duplex_train.py --config-path FOLDER_OF_THIS_FILE --config-name s2s_duplex
# batch_duration, in seconds per GPU, is for 80 GB; a worker holds bucket_buffer_size dialogues in memory.
"""


def export_nemo(corpus: Corpus, out: Store) -> dict[str, Any]:
    """Write the configuration; returns the content of `export.json`. No shard is copied, so nothing is lost.

    Raises `RequestError` if there is nothing to train on, or `out` contains anything else.
    """
    if "train" not in corpus.splits:
        raise RequestError(
            f"The corpus {corpus.url} has no dialogue in its training split; build it from more dialogues."
        )
    out.check()
    identity, _ = start(corpus, "nemo", out)
    config = yaml.safe_dump(configuration(corpus), sort_keys=False, allow_unicode=True)
    out.write(CONFIG, (_HEADER.format(corpus=corpus.name) + config).encode())
    statistics = corpus.info["statistics"]
    use = [f"NeMo/examples/speechlm2/s2s_duplex_train.py --config-path {out.absolute} --config-name s2s_duplex"]
    if not corpus.store.is_local:
        use.append(
            "NeMo reads these shards over the network: run pip install 'smart_open[s3]' in its environment, or copy the corpus."
        )
    totals = {"dialogues": sum(statistics["dialogues"].values()), "hours": statistics["hours"], "lost": {}}
    return conclude(identity, totals, use, out)


def configuration(corpus: Corpus) -> dict[str, Any]:
    """The configuration in `omegaconf`'s form."""
    config: dict[str, Any] = yaml.safe_load(
        resources.files("pipeline.export").joinpath("nemo_duplex.yaml").read_text("utf-8")
    )
    config["model"]["perception"]["modality_adapter"] = adapter_config(NemoEncoderConfig(name=""), ENCODER_WIDTH)
    data = config["data"]
    data["train_ds"] |= {
        "input_cfg": [{"type": "lhotse_shar", "shar_path": _shards(corpus, "train")}],
        "bucket_duration_bins": _bins(corpus),
    }
    if "validation" in corpus.splits:
        data["validation_ds"]["datasets"] = {"validation": {"shar_path": _shards(corpus, "validation")}}
    else:
        del data["validation_ds"]
        config["trainer"]["limit_val_batches"] = 0
    config["exp_manager"]["name"] = corpus.name
    return config


def _shards(corpus: Corpus, split: str) -> str | dict[str, list[str]]:
    """The folder of a split; for a corpus at a URL, each file except the codes, which NeMo computes with its own
    codec."""
    store = corpus.store.folder(split)
    if store.is_local:
        return store.absolute
    fields = shard_files(store)
    return {field: [store.at(name) for name in fields[field]] for field in fields if field != "target_codes"}


def _bins(corpus: Corpus) -> list[float]:
    """The bounds, in seconds, of duration buckets with equal numbers of dialogues."""
    rows = corpus.dialogues.read("split", "duration_s")
    durations = rows[rows["split"] == "train"]["duration_s"].to_numpy(float)
    bounds = np.quantile(durations, np.arange(1, BUCKETS) / BUCKETS)
    return sorted({round(float(bound), 2) for bound in bounds})
