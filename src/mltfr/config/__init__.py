"""Config models: closed, ranged, documented, and the same in TOML, Python and on the command line."""

from mltfr.config.base import Config
from mltfr.config.component import ComponentConfig, component
from mltfr.config.overrides import apply_overrides
from mltfr.config.toml import dump_toml, load_toml

__all__ = ["ComponentConfig", "Config", "apply_overrides", "component", "dump_toml", "load_toml"]
