# %% [markdown]
# # From a run to a service
#
# Blend what you have, ask why an item was recommended, take tomorrow's rows in, write a report, and take the model out
# of the library. Offline, on a made-up log, in half a minute on two cores.

# %%
import polars as pl

from mltfr import Recommender
from mltfr.interactions.synthetic import SyntheticConfig, synthetic

log = synthetic(SyntheticConfig(users=300, items=60, topics=5), seed=3).log
small = {"backbone.hidden": 32, "backbone.blocks": 1, "training.batch_size": 128, "training.learning_rate": 0.005}
Recommender(fusion="none", epochs=6, settings=small).fit(log, "runs/sasrec")
Recommender(backbone="item-knn").fit(log, "runs/item-knn")

# %% [markdown]
# ## Blend
#
# The weighted mean of both probabilities, weighted on validation. On the real logs of this project a blend gained more
# than anything else ([results](../results.md)).

# %%
blend = Recommender.blend(["runs/sasrec", "runs/item-knn"], out="runs/blend")
for name in ("sasrec", "item-knn", "blend"):
    print(name, round(Recommender.load(f"runs/{name}").evaluate().metrics["ndcg@10"], 2))

# %% [markdown]
# ## Why this item?
#
# A contribution is the score minus the score without one item of the history: every such history is scored again.

# %%
run = Recommender.load("runs/sasrec")
(best,) = run.explain(["u0001"], k=1)
print(best.item_id, "is owed most to", best.contributions[0].item_id)

# %% [markdown]
# ## Tomorrow's rows
#
# Histories go on, nothing is trained, and the answers change at once.

# %%
tomorrow = pl.DataFrame({"user_id": ["u0001", "new"], "item_id": ["i0007", "i0007"], "timestamp": [2_000_000_000] * 2})
updated = Recommender.load("runs/sasrec").update(tomorrow, out="runs/tuesday")
print(updated.recommend(users=["new"], k=2)["item_id"].len(), "items for somebody whom the fit never saw")

# %% [markdown]
# ## Out of the library
#
# `format="torch"` needs nothing but torch on the other side, `"onnx"` numpy and onnxruntime. The answers of what was
# written are compared with the run's before the folder appears.

# %%
parity = run.export("exported", "torch", k=10)
print(parity.same_lists == parity.users + parity.made_up, parity.largest_difference < 1e-4)

# %% [markdown]
# ## A service
#
# In the shell, with the extra `serve`: the same answers over HTTP, and a page to try them.
#
#     mltfr serve runs/blend
#     mltfr report runs/blend --out report.html
#
# What it takes to run it for others is in [serve a run](../how-to/serve.md), and what to watch in
# [production](../how-to/production.md).
