"""Training, batch recommendations and studies on a Ray cluster; needs the extra `ray`, imported on use."""

from mltfr.cluster.connection import connected, require_ray
from mltfr.cluster.fit import fit_with_ray
from mltfr.cluster.recommend import recommend_with_ray
from mltfr.cluster.study import study_with_ray

__all__ = ["connected", "fit_with_ray", "recommend_with_ray", "require_ray", "study_with_ray"]
