# %% [markdown]
# # A first recommender
#
# From a table of who chose what to a list for everybody, with the question that decides whether it was worth it: does it
# beat counting? Everything here runs offline, on a made-up log whose order matters, in half a minute on two cores.

# %%
from mltfr import Recommender
from mltfr.evaluation.comparison import compare
from mltfr.interactions.synthetic import SyntheticConfig, synthetic

log = synthetic(SyntheticConfig(users=400, items=100, topics=6), seed=1).log
print(log)
print(log.frame.head(3))

# %% [markdown]
# A log of your own is `load_interactions("interactions.csv")`: a user, an item and, if there is one, a time in each row.
#
# ## What costs nothing
#
# A baseline is computed in one pass. `item-knn` recommends what stood near the items of a history; popularity recommends
# the same to everybody. Their test scores are the bar.

# %%
runs = {}
for name in ("popularity", "item-knn"):
    runs[name] = Recommender(backbone=name).fit(log)
    print(name, round(runs[name].evaluate().metrics["ndcg@10"], 2))

# %% [markdown]
# ## A network
#
# A SASRec reads each history in its order. `fusion="none"` leaves it as it is: no token tables take part. The sizes are
# far below the defaults, so that this page runs in seconds; leave them out on a real log.

# %%
small = {"backbone.hidden": 32, "backbone.blocks": 1, "training.batch_size": 128, "training.learning_rate": 0.005}
runs["sasrec"] = Recommender(fusion="none", epochs=6, settings=small).fit(log)
evaluation = runs["sasrec"].evaluate()
print("sasrec", round(evaluation.metrics["ndcg@10"], 2))

# %% [markdown]
# Each user's last item was the test target, and the one before it chose the epoch; the network saw neither in training.
# The target was ranked among all items but those that the user had already.
#
# ## Is the difference more than chance?
#
# Two scores differ on any set of users. The comparison is made user by user, and says what 400 of them can tell apart.

# %%
print(compare({name: run.evaluate() for name, run in runs.items()}, "ndcg@10"))

# %% [markdown]
# ## The lists
#
# For users of the log, or for histories of people whom nobody has seen before: the model reads items, never users.

# %%
print(runs["sasrec"].recommend(users=["u0001"], k=3))
print(runs["sasrec"].recommend(histories={"a guest": ["i0007", "i0023"]}, k=3))

# %% [markdown]
# ## Keep it
#
# A run folder holds the weights, the settings, the scores with their protocol, and a checksum of each file.

# %%
runs["sasrec"].save("runs/first")
again = Recommender.load("runs/first")
print(again.recommend(users=["u0001"], k=3).equals(runs["sasrec"].recommend(users=["u0001"], k=3)))

# %% [markdown]
# Next: [your own data](own_data.md), or [what to take first](../how-to/choose.md).
