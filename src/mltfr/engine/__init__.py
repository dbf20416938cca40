"""Work on a Ray cluster: training, bulk recommendations, studies. Needs the extra `ray`, imported on use."""

from mltfr.engine.cluster import cluster, require_ray
from mltfr.engine.fit import fit_with_ray

__all__ = ["cluster", "fit_with_ray", "require_ray"]
