"""Three small made-up logs as people have them: ratings of films, clicks in a shop, and tracks listened to."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

BERLIN = ZoneInfo("Europe/Berlin")
ARTISTS = ("Earth, Wind & Fire", "Sigur Rós", '"Weird Al" Yankovic', "AC/DC", "Crosby, Stills & Nash", "Björk")


def walk(random: np.random.Generator, items: int, steps: int, follow: float) -> list[int]:
    """Return a history of which a step leads to the next item with probability `follow`, and else to any."""
    leaps = np.where(random.random(steps) < follow, 1, random.integers(1, items, steps))
    return [int(item) for item in (random.integers(items) + np.cumsum(leaps)) % items]


def write_ratings(folder: Path) -> None:
    """Write `ratings.csv`, where nobody rates a film twice, `tomorrow.csv`, and `movies.csv` with odd titles."""
    random = np.random.default_rng(0)
    films = np.sort(random.choice(5000, 60, replace=False)) + 1
    with (folder / "ratings.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["userId", "movieId", "rating", "timestamp"])
        for user in range(1, 81):
            time = int(datetime(2014 + user % 4, 1, 1, tzinfo=UTC).timestamp()) + int(random.integers(10**7))
            for film in dict.fromkeys(walk(random, len(films), int(random.integers(6, 22)), 0.8)):
                time += int(random.integers(30, 60 * 86400))
                table.writerow([user, films[film], random.integers(1, 11) / 2, time])
    films = np.append(films, 5001)  # is new tomorrow
    with (folder / "tomorrow.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["userId", "movieId", "rating", "timestamp"])
        for user in (*range(1, 21), *range(81, 86)):
            for place, film in enumerate(dict.fromkeys(walk(random, len(films), 4, 0.9))):
                table.writerow([user, films[film], 4.0, 1_546_300_800 + 1000 * user + place])
    with (folder / "movies.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["movieId", "title", "genres"])
        for place, film in enumerate(films):
            title = (f"Film {film}", f"Heat, {film}", f'The "{film}" Affair')[place % 3]
            table.writerow([film, f"{title} (19{60 + place % 40})", "Drama|Comedy"])


def write_clicks(folder: Path) -> None:
    """Write `clicks.parquet`: views, carts and purchases, two robots, rows without a product, and many repeats."""
    random = np.random.default_rng(1)
    products = [f"SKU-{number:04d}" for number in random.choice(9000, 50, replace=False)]
    rows: list[tuple[str, str, str | None, str, float, datetime]] = []
    for visitor in range(150):
        time = datetime(2025, 3, 1, 8, tzinfo=BERLIN) + timedelta(minutes=int(random.integers(60 * 24 * 40)))
        for session, item in enumerate(walk(random, len(products), int(random.integers(1, 7)), 0.7)):
            price = round(5 + item * 1.37, 2)
            for event in ("view", "view", "cart", "buy")[: int(random.integers(1, 5))]:
                time += timedelta(seconds=int(random.integers(5, 4000)))
                sku = None if random.random() < 0.01 else products[item]
                rows.append((f"v{visitor:03d}", f"s{visitor:03d}-{session}", sku, event, price, time))
    for robot in range(2):
        time = datetime(2025, 3, 2, tzinfo=BERLIN)
        for view in range(300):
            item = (robot + view) % len(products)
            rows.append((f"bot{robot}", f"b{robot}", products[item], "view", round(5 + item * 1.37, 2),
                         time + timedelta(seconds=view)))  # fmt: skip
    names = ["visitor_id", "session_id", "sku", "event", "price", "event_time"]
    kinds = {"event_time": pl.Datetime("us", "Europe/Berlin")}
    frame = pl.DataFrame(rows, schema=names, orient="row", schema_overrides=kinds, infer_schema_length=None)
    frame.sort("event_time").write_parquet(folder / "clicks.parquet")


def write_listens(folder: Path) -> None:
    """Write `listens.csv`: artist and track, with commas and quotes, at times such as 31/03/2025 21:15."""
    random = np.random.default_rng(2)
    tracks = [(artist, f'Song {number}, "live"' if number % 3 else f"Song {number}")
              for artist in ARTISTS for number in range(6)]  # fmt: skip
    with (folder / "listens.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["listener", "artist", "track", "played_at"])
        for listener in range(60):
            time = datetime(2025, 3, 1) + timedelta(minutes=int(random.integers(60 * 24 * 20)))
            for track in walk(random, len(tracks), int(random.integers(5, 25)), 0.6):
                time += timedelta(minutes=int(random.integers(3, 300)))
                table.writerow([f"listener {listener}", *tracks[track], time.strftime("%d/%m/%Y %H:%M")])
