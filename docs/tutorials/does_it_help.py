# %% [markdown]
# # Does the plug-in help?
#
# mltfr adds to a backbone what it reads in the token tables of language models. Whether that helps on a log is a
# question with controls: the bare backbone, and the same plug-in on tables that mean nothing. This page asks it of a
# made-up log and made-up tables, where the answer should be no. It takes about half a minute on two cores.

# %%
from mltfr import Recommender
from mltfr.evaluation.comparison import compare
from mltfr.interactions.synthetic import SyntheticConfig, synthetic

log = synthetic(SyntheticConfig(users=250, items=60, topics=5), seed=2).log
small = {"backbone.hidden": 32, "backbone.blocks": 1, "training.batch_size": 128, "training.learning_rate": 0.005}
runs = {}
for fusion in ("none", "mltfr", "random"):
    recommender = Recommender(fusion=fusion, tokens=["synthetic"], epochs=4, settings=small)
    runs[fusion] = recommender.fit(log)

# %% [markdown]
# `none` is the backbone as it is. `random` is mltfr on Gaussian rows with the same mean and covariance: as many
# parameters, and nothing to know. If `random` gains as much as `mltfr`, a gain is not owed to what the tables know.

# %%
evaluations = {name: run.evaluate() for name, run in runs.items()}
comparison = compare(evaluations, "ndcg@10")
print(comparison)

# %% [markdown]
# With so few epochs the bare backbone is ahead of both: mltfr shares them between two rounds. What counts here is the
# last line, mltfr against random tables. "Undecided" means that these users cannot tell, not that the two are equal: look at the interval. A gain that would
# matter to you lies inside it? Then you need more users, or more seeds, which is what a
# [study](../how-to/studies.md) is for.
#
# ## The fitted model without its plug-in
#
# Every run also says what its own plug-in does, on validation: the zero branch takes it away, the constant branch puts
# its mean in its place. What a constant does as well, no token did.

# %%
validation = runs["mltfr"].fitted.metrics["validation"]
for branch in ("zero_branch", "constant_branch"):
    print(branch, round(validation["metrics"]["ndcg@10"] - validation[branch]["ndcg@10"], 2))

# %% [markdown]
# On real logs so far, no share of a gain is seen to be the tables' ([results](../results.md)). That a signal which is
# there is found, is shown with a planted one: [why and how](../decisions/planted-signal.md).
#
# Next: [from a run to a service](to_production.md).
