"""Names of the token table among the tensors of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mltfr.errors import TokenTableError, shown

KNOWN_NAMES = (
    "model.embed_tokens.weight",
    "embed_tokens.weight",
    "language_model.model.embed_tokens.weight",
    "model.language_model.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
    "embeddings.word_embeddings.weight",
    "bert.embeddings.word_embeddings.weight",
    "roberta.embeddings.word_embeddings.weight",
    "distilbert.embeddings.word_embeddings.weight",
    "transformer.word_embeddings.weight",
    "word_embeddings.weight",
    "transformer.wte.weight",
    "wte.weight",
    "gpt_neox.embed_in.weight",
    "shared.weight",
    "encoder.embed_tokens.weight",
    "tok_embeddings.weight",
    "model.tok_embeddings.weight",
    "backbone.embeddings.weight",
    "token_embd.weight",
    "embedding.weight",
    "embeddings.weight",
    "embeddings",
)
"""Names of the token table in checkpoints; the first one found is taken."""


def choose_tensor(shapes: Mapping[str, Sequence[int]], given: str | None, where: str) -> str:
    """Return the name of the token table.

    Args:
        shapes: shape of every tensor in the file.
        given: the name that the user gave; None to look for the known names.
        where: the file, for messages.

    Raises:
        TokenTableError: no tensor has that name, or a known one.
    """
    name = given or next((name for name in KNOWN_NAMES if name in shapes), None)
    if name is None or name not in shapes:
        matrices = {key: shape for key, shape in shapes.items() if len(shape) == 2}
        largest = sorted(matrices, key=lambda key: -max(matrices[key]))[:4]
        listed = ", ".join(f"{shown(key)[1:-1]} {'x'.join(map(str, matrices[key]))}" for key in largest)
        problem = f"no tensor '{given}'" if given else "no tensor has a known token table's name"
        raise TokenTableError(f"{where}: {problem}. Pass --tensor NAME; its largest: {listed or 'none'}.")
    return name
