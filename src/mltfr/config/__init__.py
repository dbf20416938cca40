"""Config models: closed, ranged, documented, and the same in TOML, Python and on the command line."""

from mltfr.config.base import Config
from mltfr.config.component import ComponentConfig, component
from mltfr.config.dotted import differences, flatten, parse_overrides
from mltfr.config.merge import COMPONENTS, merge, with_names
from mltfr.config.toml import dump_toml, load_toml

__all__ = [
    "COMPONENTS",
    "ComponentConfig",
    "Config",
    "component",
    "differences",
    "dump_toml",
    "flatten",
    "load_toml",
    "merge",
    "parse_overrides",
    "with_names",
]
