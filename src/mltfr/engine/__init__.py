"""Work on a Ray cluster: training, batch recommendations, studies. Needs the extra `ray`, imported on use."""

from mltfr.engine.bulk import recommend_with_ray
from mltfr.engine.cells import RayWorker
from mltfr.engine.cluster import connected, require_ray
from mltfr.engine.fit import fit_with_ray
from mltfr.engine.study import study_with_ray

__all__ = ["RayWorker", "connected", "fit_with_ray", "recommend_with_ray", "require_ray", "study_with_ray"]
