"""Settings of item names."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from mltfr.config import Config

IDS = "ids"
"""In place of a file: the ids themselves are read as words."""
MEMORY = "memory"
"""In place of a file: the names were given in memory."""

OF_WORDS = ("file", "columns", "idf")
"""The settings that say which words items have, and what these weigh: all that a baseline reads of names."""

NameControl = Literal["none", "random", "permuted"]


class NamesConfig(Config):
    """Names of items, and what they are used for."""

    file: str = ""
    """Table of item ids and texts (CSV, TSV, JSON Lines, Parquet, RecBole .item); `ids` reads the ids themselves as
    words; without one there are no names. `--item-names` sets it."""
    columns: tuple[str, ...] = ()
    """Columns of the file that are read; all that hold words if none is named. `--name-columns` sets it."""
    use: Literal["start", "additive", "none"] = "start"
    """What names are used for: `start`, item embeddings begin with the vectors of their names; `additive`, these are
    added to the item vectors throughout, by a linear map that is learned; `none`, nothing."""
    read: Literal["words", "tables"] = "words"
    """What a name is read as: `words`, by the words that it shares with other names (latent semantic analysis), without
    any table; `tables`, by the rows of its tokens in the token tables, so that words of one meaning are alike."""
    components: Literal["agreement", "variance"] = "agreement"
    """Which components of the names are used: `agreement`, those in which consecutive items of the training histories
    are alike, each as large as that is beyond chance; `variance`, those along which names differ most."""
    scale: float = Field(2.0, ge=0)
    """Factor on the vector of a name, of an item that does not occur in training. With `agreement` a component's
    standard deviation is about this factor times its correlation beyond chance; with `variance` it is this factor."""
    scale_half: float | None = Field(None, gt=0)
    """Training interactions at which an item's scale is half of `scale`, which falls as `1 / (1 + n / scale_half)`; the
    same scale for all items if not given."""
    dimensions: int | None = Field(None, ge=1)
    """Components of the names that are used; as many as the hidden width if not given."""
    idf: bool = True
    """Whether a word weighs the less the more items have it (inverse document frequency)."""
    first_direction: Literal["remove", "keep"] = "remove"
    """Whether, with `read = "tables"`, the direction that all names of a table share most is removed from them (SIF,
    Arora et al. 2017)."""
    whiten: bool = False
    """Whether, with `variance`, all components get the same variance (WhitenRec, Zhang et al. 2024)."""
    rate_factor: float = Field(1.0, ge=0)
    """Learning rate of the map of `additive`, as a multiple of `training.learning_rate`; 0 leaves it the identity."""
    null_space: bool = False
    """Whether, with `additive`, items with a name learn only in the directions that their names leave free: those
    behind the first `dimensions` (AlphaFuse, Hu et al. 2025)."""
    shared_space: bool = False
    """Whether, with `read = "tables"` and fusion mltfr, the filters' projections and the experts' adapters begin as the
    map that made the names' vectors, so that tokens and items lie in one space from the first step."""
    new_items: bool = False
    """Whether items of the file that training has not seen get vectors, after training, from their names, so that they
    can be asked for (`mltfr recommend --new-items`). `--new-items` sets it."""
    control: NameControl = "none"
    """What names are replaced with, to see what they are worth: `permuted`, the names of other items; with `read =
    "tables"` also `random`, the same words with random rows of each table's mean and covariance. Drawn from
    `tokens.control_seed`."""

    @field_validator("columns", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("control", mode="before")
    @classmethod
    def _is_read_now(cls, value: object) -> object:
        if value == "bag-of-words":
            raise ValueError("control 'bag-of-words' is now read = 'words'. Leave the control out")
        return value

    @model_validator(mode="after")
    def _columns_are_of_a_file(self) -> Self:
        if self.columns and self.file in ("", IDS):
            has = "the ids themselves are read" if self.file else "no names are given"
            listed = ", ".join(self.columns)
            raise ValueError(f"columns names {listed}, but {has}. Give --item-names FILE, or no columns")
        return self

    @model_validator(mode="after")
    def _null_space_is_of_the_additive_path(self) -> Self:
        if self.null_space and (self.use == "start" or self.dimensions is None):
            raise ValueError(
                "null_space leaves items the directions behind the first `dimensions` of the names, which are added to "
                "them. Set use = 'additive' and dimensions below the hidden width, or null_space = false"
            )
        return self

    @model_validator(mode="after")
    def _new_items_have_names(self) -> Self:
        if self.new_items and (not self.are_used or self.file == IDS):
            if not self.file:
                why = "no names are given"
            elif self.file == IDS:
                why = "the ids of the log's own items are read, and no others"
            else:
                why = "names.use = 'none' reads none"
            raise ValueError(
                f"new_items gives vectors to items of which only a name is known, but {why}. Give --item-names FILE, "
                "or leave out --new-items"
            )
        return self

    @property
    def by_tables(self) -> bool:
        """Whether a name is read as `tables`, not as `words`."""
        return self.read == "tables"

    @property
    def are_used(self) -> bool:
        """Whether there are names, and they are used."""
        return bool(self.file) and self.use != "none"

    @property
    def read_tables(self) -> bool:
        """Whether token tables are needed for them."""
        return self.are_used and self.by_tables
