# %% [markdown]
# # Your own data, with names
#
# A log as it really comes: columns with names of their own, events of several kinds, some of them robots', titles in
# another file. Here it is made up; read it as if it were yours.

# %%
import csv
import random
from pathlib import Path

from mltfr import Recommender, load_interactions
from mltfr.pipeline import resolve

draw = random.Random(0)
kinds = ["tent", "lamp", "rope", "boot", "stove"]
titles = {f"sku-{n}": f"{draw.choice(['red', 'blue', 'green'])} {kinds[n % 5]} {n}" for n in range(60)}
with Path("shop.csv").open("w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(["visitor_id", "sku", "event", "event_time"])
    for visitor in range(300):
        at = draw.randrange(60)
        for day in range(1, draw.randrange(6, 14)):
            at = (at + 5) % 60 if draw.random() < 0.8 else draw.randrange(60)  # mostly another thing of the same kind
            event = "buy" if draw.random() < 0.7 else "view"
            rows.writerow([f"v{visitor}", f"sku-{at}", event, f"2024-05-{day:02d} 10:00"])
Path("titles.csv").write_text("sku,title\n" + "".join(f"{sku},{title}\n" for sku, title in titles.items()))
print(Path("shop.csv").read_text().splitlines()[:3])

# %% [markdown]
# ## Read it
#
# The usual names of columns are recognised, and what was read is said. Only purchases count here; the condition is part
# of the run, so that tomorrow's rows are read in the same way.

# %%
log = load_interactions("shop.csv", where="event = buy")
print(log)
print(log.read_as.columns[0].user, log.read_as.columns[0].item, log.read_as.times.form)

# %% [markdown]
# In the shell the same is `mltfr data describe shop.csv --where "event = buy"`, which also says how many users have a
# test item, how long histories are, and how much of it is repeats.
#
# ## Filters and the split are settings
#
# They belong to the run, and stand in its `config.toml`. A date in a setting means the moment that the log shows.

# %%
config = resolve(backbone="item-knn", overrides=["filters.min_user_interactions=4", "split.method=global-time"])
print(config.filters.min_user_interactions, config.split.method)
later = Recommender(backbone="item-knn", settings={"filters.min_user_interactions": 4, "split.method": "global-time"})
later.fit(log)
print(sorted(later.evaluate().metrics)[:4])

# %% [markdown]
# `global-time` holds out what came last for everybody, as a service meets it; the default, leave-one-out, is what papers
# report. [Which one when](../how-to/choose.md).
#
# ## Names
#
# The words of the titles find neighbours without any training: `name-knn`. For a network, `item_names=` lets its items
# begin with vectors of their words; that is left to the [how-to](../how-to/names.md).

# %%
words = Recommender(backbone="name-knn", item_names="titles.csv").fit(log)
similar = words.similar_items(["sku-0"], k=3, names="titles.csv")
print(titles["sku-0"], "is like", similar["name"].to_list())

# %% [markdown]
# ## Mistakes are one line
#
# What is wrong, where, and what to do. In Python they are classes of `mltfr.errors`; [all of them](../errors.md).

# %%
from mltfr.errors import MltfrError

try:
    load_interactions("shop.csv", item_column="article")
except MltfrError as error:
    print(error)

# %% [markdown]
# Next: [does it help?](does_it_help.md)
