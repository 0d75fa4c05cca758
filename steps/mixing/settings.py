"""The settings of mixing."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from steps.settings import Settings

MixBy = Literal["source", "kind", "source_and_kind"]


class PartSettings(Settings):
    """What one part of the mix may have."""

    weight: float | None = Field(None, ge=0)
    """Share of the mix, relative to the other parts' weights; 0 leaves the part out. Either all parts have a weight or
    none has."""

    max_rows: int | None = Field(None, ge=0)
    """Training rows of the part at most. None: all."""

    max_tokens: int | None = Field(None, ge=0)
    """Tokens of the part's training rows at most. None: all."""

    max_share: float | None = Field(None, gt=0, le=1)
    """Share of the mix at most; what is cut goes to the other parts by their shares. None: no limit."""

    max_repeats: int | None = Field(None, ge=1, le=100)
    """How often a row of the part may be read in one epoch, where it differs from the mix's."""


class MixSettings(Settings):
    """Which training rows are read, and how often. Validation and test rows are never touched.

    Without weights and temperature only the caps apply. Otherwise the mix is as large as it can be with every row read
    at most `max_repeats` times, or as large as `total` asks.
    """

    by: MixBy = "source"
    """What a part of the mix is: the rows of a source, of a kind, or of both (`source/kind`)."""

    unit: Literal["rows", "tokens"] = "rows"
    """In what shares, caps of shares and `total` are counted. Tokens are those of `n_tokens`."""

    parts: dict[str, PartSettings] = Field(default_factory=dict)
    """Name of a part -> its settings."""

    temperature: float | None = Field(None, gt=0, le=100)
    """T of p ∝ n^(1/T), n the part's size after its caps: 1 is the natural mix, larger values even small parts up.
    mT5 uses 1/T = 0.3 (Xue et al. 2021, arXiv:2010.11934), so does XLM-R (Conneau et al. 2020,
    arXiv:1911.02116). None: the weights decide, or nothing does."""

    total: int | None = Field(None, ge=1)
    """Size of the mix in units, repeats included. None: as large as it can be, but not above all rows once."""

    max_repeats: int = Field(1, ge=1, le=100)
    """How often a row may be read in one epoch. Muennighoff et al. 2023 (arXiv:2305.16264) find that up to 4 readings
    are nearly as good as new data. 1 repeats nothing."""

    seed: int = Field(0, ge=0)
    """Another seed keeps other rows. With the same seed, most of the sample stays when data is added."""

    tolerance: float = Field(0.01, gt=0, lt=1)
    """By how much the realised share of a part may differ from the asked one, above which the run stops. Where `total`
    is not set, one row is always allowed: fewer than 100 rows cannot be mixed to 1 %."""

    max_drop_fraction: float = Field(0.9, ge=0, le=1)
    """Share of rows above which the run stops."""

    @model_validator(mode="after")
    def _decided_once(self) -> Self:
        weighted = {name for name, part in self.parts.items() if part.weight is not None}
        if weighted and self.temperature is not None:
            raise ValueError(f"temperature and the weight of {', '.join(sorted(weighted))} exclude each other")
        if weighted and weighted != set(self.parts):
            without = ", ".join(sorted(set(self.parts) - weighted))
            raise ValueError(f"either all parts have a weight or none has; {without} lacks one")
        if weighted and not any(part.weight for part in self.parts.values()):
            raise ValueError("all weights are 0; give the parts to train on a weight above 0")
        return self

    @property
    def weighted(self) -> bool:
        """Whether shares come from weights."""
        return any(part.weight is not None for part in self.parts.values())

    @property
    def asks_shares(self) -> bool:
        """Whether any share is asked: by weights, temperature, or a cap of a share."""
        capped = any(part.max_share is not None for part in self.parts.values())
        return self.weighted or self.temperature is not None or capped or self.total is not None

    def part(self, name: str) -> PartSettings:
        """Return the settings of a part."""
        return self.parts.get(name, PartSettings())

    def repeats_of(self, name: str) -> int:
        """Return how often a row of a part may be read."""
        own = self.part(name).max_repeats
        return self.max_repeats if own is None else own
